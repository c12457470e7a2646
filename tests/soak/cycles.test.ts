/**
 * Sandboxes that are created, asked for one thing and killed, over and over: `npm run test:deep` has 10,000 of them and some
 * hundred more while server and helper are killed in between, `npm test` enough to see that none leaves anything.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import { serverLogPath } from '../../src/main/log/server-log.ts'
import { helloOf } from '../support/helper.ts'
import { type Holdings, holdingsOf } from '../support/holdings.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const isNative = testedRuntime() === 'native'
/** On Docker's runtime, where each takes ten times as long, a tenth of what is asked for */
const cycles = Number(process.env.E2B_SOAK_CYCLES ?? 60) / (isNative ? 1 : 10)
/** Cycles while something is killed again and again; 0: that isn't tried */
const cyclesBesideKills = Number(process.env.E2B_SOAK_CYCLES_BESIDE_KILLS ?? 0)
const clients = 4
/** Cycles before the first look: what first uses cost, and what is made ahead, isn't a leak. */
const warmUp = 40
/** What there may be more of in the end, as what is made ahead goes by demand */
const slack = { things: 16, descriptors: 24 }
/** What a process may have more in memory in the end: room of a heap that an idle one hasn't yet, and for each cycle, in bytes */
const growth = { once: 64 * 2 ** 20, each: 4096 }
const killsEveryMs = 7000
/** How often in a row, each half a second after the other, the same is found at rest */
const restLooks = 6
/** With more the rest says nothing new. */
const failuresMax = 20

let server: TestServer
let holdings: Holdings
beforeAll(async () => {
  server = await startTestServer({ flags: ['--start-wait', '120'] })
  holdings = await holdingsOf(server.stateDir)
}, 180_000)
afterAll(async () => {
  if (server === undefined) return
  keepLog()
  await server[Symbol.asyncDispose]()
}, 180_000)

/** What the server wrote down, if anything, over all its starts, for whoever asks why a soak failed: its directory goes. */
function keepLog(): void {
  const log = serverLogPath(server.stateDir)
  if (!existsSync(log)) return
  const folder = join(import.meta.dirname, '../../build/results')
  mkdirSync(folder, { recursive: true })
  copyFileSync(log, join(folder, `soak-${testedRuntime()}.log`))
}

test(`${cycles} sandboxes that come and go`, { timeout: 300_000 + cycles * 1000 }, async () => {
  await run(warmUp, cycle)
  await nothingIsLeft()
  const before = await heldAtRest()
  const memoryBefore = await memory()
  const begun = performance.now()
  let done = 0
  const failures: string[] = []
  await run(cycles, async () => {
    await cycle().catch((error: Error) => failures.push(`at ${done}: ${error.message}`))
    if (failures.length > failuresMax) throw new Error([...failures, server.output()].join('\n'))
    if (++done % Math.ceil(cycles / 10) === 0) await say(done, begun)
  })
  await nothingIsLeft()
  const [after, memoryAfter] = [await held(), await memory()]
  console.log(`soak: before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`)
  expect(failures, server.output().slice(-4000)).toEqual([])
  await noMoreThan(before)
  for (const [name, bytes] of Object.entries(memoryAfter)) {
    const most = (memoryBefore[name] ?? 0) + growth.once + growth.each * cycles
    expect(bytes, `memory of ${name}`).toBeLessThan(most)
  }
})

/** Only where it is asked for, and not by `runIf`: a skipped test fails the run. */
if (cyclesBesideKills > 0) {
  const name = `${cyclesBesideKills} sandboxes that come and go while server and helper are killed`
  test(name, { timeout: 600_000 + cyclesBesideKills * 1000 }, besideKills)
}

async function besideKills(): Promise<void> {
  const before = await heldAtRest()
  const over = new AbortController()
  const killing = killNowAndThen(over.signal)
  let failed = 0
  await run(cyclesBesideKills, () =>
    cycle().catch(async () => {
      failed++
      await sleep(200)
    }),
  )
  over.abort()
  const killed = await killing
  console.log(`soak: ${killed} kills, ${failed} of ${cyclesBesideKills} failed`)
  // Whose create was answered by nobody has a sandbox that nobody knows of; the operator sees it.
  await killAll()
  await nothingIsLeft()
  await run(warmUp, cycle)
  await nothingIsLeft()
  await noMoreThan(before)
  expect(killed).toBeGreaterThan(0)
}

async function cycle(): Promise<void> {
  const sandbox = await Sandbox.create({ timeoutMs: 300_000, requestTimeoutMs: 120_000 })
  expect((await sandbox.commands.run('echo ok')).stdout).toBe('ok\n')
  expect(await sandbox.kill()).toBe(true)
}

/** By as many clients as there are, side by side. */
async function run(count: number, task: () => Promise<void>): Promise<void> {
  let next = 0
  const client = async () => {
    while (next++ < count) await task()
  }
  await Promise.all(Array.from({ length: clients }, client))
}

/** By turns the server, which is started again, and its helper, which the server starts again. The number of kills. */
async function killNowAndThen(signal: AbortSignal): Promise<number> {
  let kills = 0
  while (!signal.aborted) {
    await sleep(killsEveryMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) break
    if (kills++ % 2 === 0 || !isNative) {
      await server.end('SIGKILL')
      await server.restart()
    } else {
      process.kill(await helperPid(), 'SIGKILL')
    }
  }
  return kills
}

async function killAll(): Promise<void> {
  const pages = Sandbox.list()
  while (pages.hasNext) {
    for (const { sandboxId } of await pages.nextItems()) await Sandbox.kill(sandboxId)
  }
}

async function nothingIsLeft(): Promise<void> {
  const left = async () => [
    ...[...(await holdings.guests()).keys()].map((id) => `guest ${id}`),
    ...(await holdings.images()).map((name) => `image ${name}`),
    ...holdings.directories().map((name) => `directory ${name}`),
    ...holdings.remainders(),
  ]
  await expect.poll(left, { timeout: 120_000, interval: 200 }).toEqual([])
}

/** Once what was made ahead has gone by itself, as nobody asks any more. */
async function noMoreThan(before: Record<string, number>): Promise<void> {
  const more = async () =>
    Object.entries(await held()).filter(([name, count]) => {
      const slackOf = name === 'descriptors' ? slack.descriptors : slack.things
      return count > before[name]! + slackOf
    })
  await expect.poll(more, { timeout: 120_000, interval: 500 }).toEqual([])
}

/** What is there once all that is made ahead is, which is put off while sandboxes come and go. */
async function heldAtRest(): Promise<Record<string, number>> {
  const looks = [JSON.stringify(await held())]
  const rests = async () => {
    looks.push(JSON.stringify(await held()))
    return new Set(looks.slice(-restLooks)).size === 1 && looks.length >= restLooks
  }
  await expect.poll(rests, { timeout: 120_000, interval: 500 }).toBe(true)
  return JSON.parse(looks.at(-1)!)
}

/** How many there are of what a sandbox has, as the kernel counts it. */
async function held(): Promise<Record<string, number>> {
  const pids = [server.pid(), ...below(server.pid())]
  const own = [server.pid(), ...server.dataWorkers(), ...(isNative ? [await helperPid()] : [])]
  const spaces = (kind: string) => new Set(pids.map((pid) => linkOf(pid, `ns/${kind}`))).size
  return {
    processes: pids.length,
    networkSpaces: spaces('net'),
    mountSpaces: spaces('mnt'),
    networks: (await holdings.networks()).length,
    groups: controlGroups(),
    mounts: sum(own.map((pid) => mountsSeenBy(pid, holdingsId()))),
    descriptors: sum(own.map((pid) => entries(`/proc/${pid}/fd`).length)),
  }
}

/** Of this server: the machine's others come and go as they like. */
function mountsSeenBy(pid: number, id: string): number {
  const lines = read(`/proc/${pid}/mountinfo`).split('\n')
  return lines.filter((line) => line.includes(`${server.stateDir}/`) || line.includes(id)).length
}

/** Resident memory of the server, its data workers together, and its helper, in bytes. */
async function memory(): Promise<Record<string, number>> {
  const resident = (pid: number) =>
    Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024
  return {
    server: resident(server.pid()),
    workers: sum(server.dataWorkers().map(resident)),
    ...(isNative && { helper: resident(await helperPid()) }),
  }
}

async function say(done: number, begun: number): Promise<void> {
  const inMb = Object.entries(await memory()).map(([name, bytes]) => `${name} ${Math.round(bytes / 2 ** 20)}`)
  const seconds = (performance.now() - begun) / 1000
  console.log(`soak: ${done} cycles in ${seconds.toFixed(0)} s, resident MiB: ${inMb.join(', ')}`)
}

async function helperPid(): Promise<number> {
  return (await helloOf(join(server.stateDir, 'native'))).pid
}

/** Of this server, with all below them. */
function controlGroups(): number {
  const root = '/sys/fs/cgroup'
  const id = holdingsId()
  const count = (folder: string): number => 1 + sum(folders(folder).map((name) => count(join(folder, name))))
  const tops = entries(root).flatMap((name) => [join(root, name, id), join(root, id)])
  return sum([...new Set(tops)].filter((path) => existsSync(path)).map(count))
}

/** What the names of this server's control groups begin with; on Docker there are none. */
function holdingsId(): string {
  const helper = below(server.pid()).map((pid) => read(`/proc/${pid}/cmdline`).split('\0'))
  const args = helper.find((words) => words.includes('--instance'))
  return `e2bn-${args?.[args.indexOf('--instance') + 1] ?? 'none'}`
}

function below(pid: number): number[] {
  const threads = entries(`/proc/${pid}/task`)
  const children = threads.flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  )
  return children.flatMap((child) => [child, ...below(child)])
}

/** Empty for one that has just ended. */
function linkOf(pid: number, file: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${file}`)
  } catch {
    return ''
  }
}

function folders(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  } catch {
    return []
  }
}

function entries(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : []
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
