import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

/** What of the answers is looked at here. */
interface Answer extends Array<{ type: string }> {
  logs: { message: string; level: string; line: string }[]
  sandboxes: Record<string, unknown>
}

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(sdks)('e2b $version: metrics', ({ sdk: { Sandbox } }) => {
  test(
    'come within seconds of the start, and only for the time that is asked for',
    proves('Sandbox.getMetrics', 'sandbox.getMetrics'),
    async () => {
      const sandbox = await Sandbox.create()
      await expect
        .poll(async () => (await sandbox.getMetrics()).length, { timeout: 30_000, interval: 500 })
        .toBeGreaterThan(0)
      const [first] = await Sandbox.getMetrics(sandbox.sandboxId)
      expect(first).toMatchObject({ cpuCount: 2, memTotal: 512 * 2 ** 20 })
      expect(first!.memUsed).toBeGreaterThan(0)
      expect(first!.diskTotal).toBeGreaterThan(first!.diskUsed)
      const hour = 3600_000
      const range = (from: number, to: number) =>
        sandbox.getMetrics({ start: new Date(Date.now() + from), end: new Date(Date.now() + to) })
      // The older release doesn't send what it is asked for.
      if (Sandbox === sdks[0]!.sdk.Sandbox) expect(await range(-2 * hour, -hour)).toEqual([])
      expect((await range(-hour, hour)).length).toBeGreaterThan(0)
      await sandbox.kill()
    },
  )
})

describe('logs and events', () => {
  const { Sandbox } = sdks[0]!.sdk
  const ask = async (path: string) => {
    const answer = await fetch(`${server.url}${path}`, { headers: { 'x-api-key': server.apiKey } })
    return { status: answer.status, body: (await answer.json()) as Answer }
  }

  test('say what processes did, printed and became, also after the client has left, and after the end', async () => {
    const sandbox = await Sandbox.create({ metadata: { of: 'logs' } })
    const id = sandbox.sandboxId
    await sandbox.commands.run('echo out; echo err >&2; exit 3').catch(() => {})
    const left = await sandbox.commands.run('sleep 1; echo later; sleep 0.2', { background: true })
    await left.disconnect()
    const messages = async (query = '') => {
      const { body } = await ask(`/v2/sandboxes/${id}/logs${query}`)
      return body.logs.map(({ message, level }) => `${level}: ${message}`)
    }
    await expect
      .poll(() => messages(), { timeout: 15_000 })
      .toEqual([
        'info: sandbox created',
        'info: process started',
        'info: out',
        'warn: err',
        'warn: process ended',
        'info: process started',
        'info: later',
        'info: process ended',
      ])
    expect(await messages('?level=warn')).toEqual(['warn: err', 'warn: process ended'])
    expect(await messages('?search=late&direction=backward')).toEqual(['info: later'])
    expect((await messages('?direction=backward&limit=1'))[0]).toBe('info: process ended')
    expect((await ask(`/v2/sandboxes/${id}/logs?level=loud`)).status).toBe(400)
    expect((await ask('/v2/sandboxes/inobodys/logs')).status).toBe(404)
    await sandbox.kill()

    const { body } = await ask(`/sandboxes/${id}/logs`)
    const lines = body.logs.map(({ line }) => JSON.parse(line))
    expect(lines.at(-1)).toMatchObject({ logger: 'lifecycle', message: 'sandbox killed', reason: 'request' })
    const events = await ask(`/events/sandboxes/${id}`)
    expect(events.body.map(({ type }) => type)).toEqual([
      'sandbox.lifecycle.killed',
      'sandbox.lifecycle.created',
    ])
    expect(events.body[0]).toMatchObject({
      version: 'v2',
      sandboxId: id,
      eventData: { reason: 'request', sandbox_metadata: { of: 'logs' }, execution: { vcpu_count: 2 } },
    })
  })

  test('output without end costs a bounded log, and says so', async () => {
    const sandbox = await Sandbox.create()
    await sandbox.commands.run('seq 1 100000')
    await expect
      .poll(async () => (await ask(`/v2/sandboxes/${sandbox.sandboxId}/logs?search=isn't logged`)).body.logs)
      .toHaveLength(1)
    await sandbox.kill()
  })

  test('the newest figures of several sandboxes at once, own ones only', async () => {
    const [first, second] = await Promise.all([Sandbox.create(), Sandbox.create()])
    const ids = [first.sandboxId, second.sandboxId]
    const found = async () =>
      Object.keys((await ask(`/sandboxes/metrics?sandbox_ids=${ids},inobodys`)).body.sandboxes)
    await expect.poll(async () => (await found()).sort(), { timeout: 30_000 }).toEqual([...ids].sort())
    expect((await ask('/sandboxes/metrics?sandbox_ids=')).status).toBe(400)
    expect((await ask(`/sandboxes/${ids[0]}/metrics?start=20&end=10`)).status).toBe(400)
    await Promise.all([first.kill(), second.kill()])
  })
})
