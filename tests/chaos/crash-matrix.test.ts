/**
 * `kill -9` of the server at each step of each operation. Which steps there are is found out by a run that
 * is left alone. After the restart the sandbox is in a state that lasts, what was running runs on, and store, engine
 * and disk agree.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import type { Store } from '../../src/domain/store.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { type Holdings, holdingsOf } from '../support/holdings.ts'
import { bundleCrashServer, type CrashServer, startCrashServer } from './support/crash-server-process.ts'
import { disagreements } from './support/disagreements.ts'

/**
 * What comes after one step is what comes before the next, but for time: that difference is the control plane's, so one runtime
 * shows it.
 */
const isWhole = testedRuntime() === 'native' || process.env.E2B_TEST_DEEP !== undefined

const stateDir = mkdtempSync(join(tmpdir(), 'e2b-crash-'))
let store: Store
let server: CrashServer
let holdings: Holdings

beforeAll(async () => {
  await bundleCrashServer()
  server = await startCrashServer(stateDir)
  store = await openSqliteStore({ path: join(stateDir, 'e2b-server.db') })
  holdings = await holdingsOf(stateDir)
}, 180_000)

afterAll(async () => {
  for (const { id } of await store.sandboxes.list({})) await call('DELETE', `/sandboxes/${id}`)
  for (const { id } of await store.templates.list({ kind: 'snapshot' }))
    await call('DELETE', `/templates/${id}`)
  await store.close()
  await server.end()
  expect(await holdings.guests()).toEqual(new Map())
  expect(await holdings.networks()).toEqual([])
  rmSync(stateDir, { recursive: true, force: true })
}, 180_000)

/** A sandbox whose processes tell whether it is what it was. */
interface Witness {
  id: string
  pid: number
}

interface Operation {
  name: string
  /** What comes before, in peace */
  prepare: (witness: Witness) => Promise<void>
  /** The operation; null: a create */
  run: ((id: string) => Promise<unknown>) | null
  /** What the sandbox may be found as */
  outcomes: ('running' | 'paused' | 'gone')[]
  /** Whether its processes are there when it runs, at whichever end */
  keepsProcesses: boolean
}

const nothing = async () => {}
const pause = (memory: boolean) => (id: string) => call('POST', `/sandboxes/${id}/pause`, { memory })
const connect = (id: string) => call('POST', `/v2/sandboxes/${id}/connect`, { timeout: 600 })

const operations: Operation[] = [
  { name: 'create', prepare: nothing, run: null, outcomes: ['running', 'gone'], keepsProcesses: false },
  {
    name: 'pause with memory',
    prepare: nothing,
    run: pause(true),
    outcomes: ['running', 'paused'],
    keepsProcesses: true,
  },
  {
    name: 'pause without memory',
    prepare: nothing,
    run: pause(false),
    outcomes: ['running', 'paused'],
    keepsProcesses: false,
  },
  {
    name: 'resume with memory',
    prepare: async ({ id }) => void (await pause(true)(id)),
    run: connect,
    outcomes: ['running', 'paused'],
    keepsProcesses: true,
  },
  {
    name: 'resume from disk',
    prepare: async ({ id }) => void (await pause(false)(id)),
    run: connect,
    outcomes: ['running', 'paused'],
    keepsProcesses: false,
  },
  {
    name: 'snapshot',
    prepare: nothing,
    run: (id) => call('POST', `/sandboxes/${id}/snapshots`, {}),
    outcomes: ['running'],
    keepsProcesses: true,
  },
  {
    name: 'kill',
    prepare: nothing,
    run: (id) => call('DELETE', `/sandboxes/${id}`),
    outcomes: ['running', 'gone'],
    keepsProcesses: true,
  },
  {
    name: 'kill of a paused one',
    prepare: async ({ id }) => void (await pause(true)(id)),
    run: (id) => call('DELETE', `/sandboxes/${id}`),
    outcomes: ['paused', 'gone'],
    keepsProcesses: true,
  },
]

describe.each(operations)('kill -9 in the middle of: $name', (operation) => {
  test('at each of its steps', { timeout: 300_000 }, async () => {
    const steps = await stepsOf(operation)
    expect(steps.length).toBeGreaterThanOrEqual(6)
    const chosen = [...steps.entries()].filter(
      ([at, step]) => isWhole || step.endsWith(':before') || at === steps.length - 1,
    )
    for (const [at, step] of chosen) await crashAt(operation, at, step)
    console.log(`crash matrix: ${operation.name}: ${chosen.length} of ${steps.length} steps`)
  })
})

/** The steps of an operation that nothing disturbs. */
async function stepsOf(operation: Operation): Promise<string[]> {
  const witness = operation.run === null ? undefined : await createWitness()
  if (witness !== undefined) await operation.prepare(witness)
  await server.arm(null)
  const id = await perform(operation, witness)
  await untilCarriedOut()
  const steps = await server.steps()
  await kill(id)
  return steps
}

async function crashAt(operation: Operation, at: number, step: string): Promise<void> {
  const witness = operation.run === null ? undefined : await createWitness()
  if (witness !== undefined) await operation.prepare(witness)
  const before = new Set((await store.sandboxes.list({})).map(({ id }) => id))
  await server.arm(at)
  await perform(operation, witness).catch(() => {})
  await server.ended
  server = await startCrashServer(stateDir)

  const where = `${operation.name}, killed at ${step}`
  await expect.poll(() => disagreements({ store, stateDir }), { message: where, timeout: 20_000 }).toEqual([])
  const id = witness?.id ?? (await store.sandboxes.list({})).find((row) => !before.has(row.id))?.id
  const found = id === undefined ? 'gone' : await stateOf(id)
  expect(operation.outcomes, `${where}: found ${found}`).toContain(found)
  if (witness !== undefined && found !== 'gone') await checkWitness(witness, operation, where)
  if (id !== undefined) await kill(id)
}

/** Resolves when what a kill leaves to do behind its answer is done, so that it counts as no step of what comes next. */
async function kill(id: string): Promise<void> {
  await call('DELETE', `/sandboxes/${id}`)
  await untilCarriedOut()
}

async function untilCarriedOut(): Promise<void> {
  await expect
    .poll(() => store.sandboxes.list({ states: ['killing'] }), { timeout: 20_000, interval: 20 })
    .toEqual([])
}

async function perform({ run }: Operation, witness: Witness | undefined): Promise<string> {
  if (run === null) {
    const answer = await call('POST', '/v2/sandboxes', { templateID: 'base', timeout: 600 })
    return (JSON.parse(answer.body) as { sandboxID: string }).sandboxID
  }
  await run(witness!.id)
  return witness!.id
}

async function createWitness(): Promise<Witness> {
  const sandbox = await Sandbox.create({ ...sdk(), timeoutMs: 600_000 })
  await sandbox.files.write('kept', 'kept')
  const { pid } = await sandbox.commands.run('sleep 10000', { background: true, timeoutMs: 0 })
  return { id: sandbox.sandboxId, pid }
}

/** Whatever it was found as, it can be reached and has all that it should. */
async function checkWitness({ id, pid }: Witness, operation: Operation, where: string): Promise<void> {
  const sandbox = await Sandbox.connect(id, { ...sdk(), timeoutMs: 600_000 })
  expect(await sandbox.files.read('kept'), where).toBe('kept')
  const pids = (await sandbox.commands.list()).map((process) => process.pid)
  if (operation.keepsProcesses) expect(pids, where).toEqual([pid])
  expect((await sandbox.commands.run('echo well')).stdout, where).toBe('well\n')
}

async function stateOf(id: string): Promise<string> {
  const { status, body } = await call('GET', `/sandboxes/${id}`)
  return status === 404 ? 'gone' : (JSON.parse(body) as { state: string }).state
}

function sdk() {
  return { apiKey: server.apiKey, apiUrl: server.url, sandboxUrl: server.url }
}

async function call(method: string, path: string, body?: object): Promise<{ status: number; body: string }> {
  const headers = { 'x-api-key': server.apiKey, ...(body && { 'content-type': 'application/json' }) }
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  })
  return { status: answer.status, body: await answer.text() }
}
