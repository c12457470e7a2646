/** What the server measures of itself: GET /metrics as Prometheus reads it, and Server-Timing of its answers. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { phases } from '../../src/domain/telemetry.ts'
import { type Family, readExposition } from '../support/exposition.ts'
import { sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

let server: SharedServer
let adminToken: string
beforeAll(async () => {
  server = await joinSharedServer()
  adminToken = readFileSync(join(server.stateDir, 'admin-token'), 'utf8').trim()
})
afterAll(() => server[Symbol.asyncDispose]())

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const scrape = (headers: Record<string, string>) => fetch(`${server.url}/metrics`, { headers })

async function read(): Promise<Family[]> {
  const answer = await scrape(bearer(adminToken))
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    expect.stringContaining('text/plain'),
  ])
  return readExposition(await answer.text())
}

/** Of all samples of that name whose labels have these. */
function sum(families: Family[], name: string, labels: Record<string, string> = {}): number {
  const wanted = Object.entries(labels)
  return families
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name && wanted.every(([key, value]) => sample.labels[key] === value))
    .reduce((total, { value }) => total + value, 0)
}

/** Names of the phases of an answer, which add up to its total. */
function phasesOf(answer: Response): string[] {
  const parts = (answer.headers.get('server-timing') ?? '').split(', ').map((part) => part.split(';dur='))
  const [total] = parts.splice(-1)
  expect(total?.[0]).toBe('total')
  const added = parts.reduce((ms, [, each]) => ms + Number(each), 0)
  expect(Math.abs(added - Number(total?.[1]))).toBeLessThan(0.01 * (parts.length + 1))
  return parts.map(([name]) => name!)
}

test('only whoever has the operator’s token reads it', async () => {
  const refused: Record<string, string>[] = [
    {},
    { 'x-api-key': server.apiKey },
    bearer(server.apiKey),
    bearer(`${adminToken}x`),
    { 'x-forwarded-for': '127.0.0.1' },
  ]
  for (const headers of refused) {
    const answer = await scrape(headers)
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 401 }])
  }
  expect((await scrape({ 'x-admin-token': adminToken })).status).toBe(200)
})

test('what is done with sandboxes is measured, and its answers say their phases', {
  timeout: 240_000,
}, async () => {
  const before = await read()
  const ask = (method: string, path: string, body?: object) =>
    fetch(`${server.url}${path}`, {
      method,
      headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  const created = await ask('POST', '/sandboxes', { templateID: 'base', timeout: 300 })
  const { sandboxID } = (await created.json()) as { sandboxID: string }
  const sandbox = await sdks[0]!.sdk.Sandbox.connect(sandboxID)
  await sandbox.commands.run('true')
  const of = (what: string) => `/sandboxes/${sandboxID}/${what}`
  const snapshotted = await ask('POST', of('snapshots'), {})
  const { snapshotID } = (await snapshotted.json()) as { snapshotID: string }
  const forked = await ask('POST', of('fork'), { count: 2, timeout: 300 })
  const forks = (await forked.json()) as { sandbox: { sandboxID: string } }[]
  const paused = await ask('POST', of('pause'))
  const resumed = await ask('POST', of('connect'), { timeout: 300 })
  const killed = await ask('DELETE', `/sandboxes/${sandboxID}`)
  for (const fork of forks) await ask('DELETE', `/sandboxes/${fork.sandbox.sandboxID}`)
  await ask('DELETE', `/templates/${encodeURIComponent(snapshotID)}`)
  expect((await ask('DELETE', `/sandboxes/${sandboxID}`)).status).toBe(404)

  const start = ['network', 'start', 'agent', 'configure']
  const begun = phasesOf(created)
  expect(begun.slice(0, 3)).toEqual(['validate', 'template', 'admission'])
  expect(begun.slice(-2)).toEqual(['record', 'answer'])
  // A guest may have been started ahead.
  expect(begun.slice(3, -2)).toEqual(begun.includes('claim') ? ['claim', 'configure'] : ['store', ...start])
  expect(phasesOf(snapshotted)).toEqual(['queue', 'store', 'copy', 'record', 'answer'])
  expect(phasesOf(forked)).toEqual(['queue', 'store', 'copy', 'record', 'forks', 'answer'])
  expect(phasesOf(paused)).toEqual(['queue', 'store', 'withdraw', 'pause', 'settle', 'record', 'answer'])
  expect(phasesOf(resumed)).toEqual(['queue', 'admission', 'recover', 'resume', 'record', 'answer'])
  expect(phasesOf(killed)).toEqual(['queue', 'store', 'withdraw', 'backlog', 'answer'])

  const after = await read()
  const grew = (name: string, labels: Record<string, string>) =>
    sum(after, name, labels) - sum(before, name, labels)
  for (const [operation, cause, least] of [
    ['create', 'request', 1],
    ['create', 'fork', 2],
    ['pause', 'request', 1],
    ['resume', 'request', 1],
    ['kill', 'request', 3],
    ['fork', 'request', 1],
    ['snapshot', 'request', 1],
  ] as const) {
    const labels = { operation, cause }
    expect(grew('e2b_operations_total', { ...labels, outcome: 'ok' })).toBeGreaterThanOrEqual(least)
    expect(grew('e2b_operation_duration_seconds_count', labels)).toBeGreaterThanOrEqual(least)
    expect(grew('e2b_operation_duration_seconds_sum', labels)).toBeGreaterThan(0)
  }
  // For forks none has been.
  for (const phase of ['admission', 'store', ...start, 'record']) {
    const labels = { operation: 'create', phase }
    expect(grew('e2b_operation_phase_duration_seconds_count', labels)).toBeGreaterThanOrEqual(2)
  }
  const route = { method: 'DELETE', route: '/sandboxes/:sandboxID' }
  expect(grew('e2b_api_requests_total', { ...route, status: '204' })).toBeGreaterThanOrEqual(3)
  expect(grew('e2b_api_requests_total', { ...route, status: '404' })).toBeGreaterThanOrEqual(1)
  expect(grew('e2b_api_errors_total', { ...route, code: 'not_found' })).toBeGreaterThanOrEqual(1)
})

test('what data workers and the control process take arrives', { timeout: 60_000 }, async () => {
  const had = sum(await read(), 'e2b_edge_requests_total', { kind: 'api' })
  await expect
    .poll(async () => sum(await read(), 'e2b_edge_requests_total', { kind: 'api' }), { timeout: 30_000 })
    .toBeGreaterThan(had)
  const families = await read()
  for (const process of ['control', 'data-0']) {
    expect(sum(families, 'e2b_process_resident_memory_bytes', { process })).toBeGreaterThan(2 ** 20)
    expect(sum(families, 'e2b_process_heap_bytes', { process })).toBeGreaterThan(2 ** 20)
    expect(sum(families, 'e2b_process_cpu_seconds_total', { process })).toBeGreaterThan(0)
    expect(sum(families, 'e2b_event_loop_delay_max_seconds_count', { process })).toBeGreaterThan(0)
  }
  expect(sum(families, 'e2b_server_info')).toBe(1)
  expect(sum(families, 'e2b_sandboxes', { state: 'running' })).toBeGreaterThanOrEqual(0)
  expect(sum(families, 'e2b_builds', { status: 'ready' })).toBeGreaterThanOrEqual(1)
})

test('labels come from lists, whatever was asked for, and docs/metrics.md has them all', async () => {
  for (const path of ['/nope/1', '/nope/2', `/sandboxes/${'x'.repeat(40)}`, '/sandboxes/%zz']) {
    await fetch(`${server.url}${path}`, { headers: { 'x-api-key': server.apiKey } })
  }
  const families = await read()
  const documented = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')
  const named = [...documented.matchAll(/^\| `(e2b_\w+)`/gm)].map(([, name]) => name!.replace(/_total$/, ''))
  expect(families.map(({ name }) => name).toSorted()).toEqual(named.toSorted())
  const phasesNamed = [...documented.matchAll(/^\| `([a-z]+)` \|/gm)].map(([, name]) => name)
  expect(phasesNamed).toEqual(phases)
  const samples = families.flatMap((family) => family.samples)
  for (const { labels } of samples) {
    for (const [label, value] of Object.entries(labels)) {
      expect(documented, `${label}="${value}"`).toContain(`\`${label}\``)
      expect(value, label).toMatch(label === 'route' ? /^(none|[\w/:*-]+)$/ : /^[\w.+-]+$/)
      expect(value).not.toMatch(/nope|xxxx|zz|[0-9a-f]{8}-|\bi[a-z0-9]{20}\b/)
    }
  }
  const series = samples.filter(({ name }) => !name.endsWith('_bucket'))
  expect(series.length).toBeLessThan(1000)
})
