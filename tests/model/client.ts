/**
 * A client that does random things to its sandboxes and remembers what it may expect of each: what it was answered,
 * and where an operation failed, both how it was before and how it would have become.
 */
import { connectSandbox } from '../../src/control/connect-sandbox.ts'
import { createSandbox } from '../../src/control/create-sandbox.ts'
import { deleteTemplate } from '../../src/control/delete-template.ts'
import { forkSandbox } from '../../src/control/fork-sandbox.ts'
import { killSandbox } from '../../src/control/kill-sandbox.ts'
import { pauseSandbox } from '../../src/control/pause-sandbox.ts'
import { setSandboxTimeout } from '../../src/control/set-timeout.ts'
import { snapshotSandbox } from '../../src/control/snapshot-sandbox.ts'
import { ServerError } from '../../src/domain/error.ts'
import type { Sandbox } from '../../src/domain/sandbox.ts'
import type { Guest } from '../../src/guest/guest.ts'
import { hello } from '../../src/guest/hello.ts'
import { read } from '../../src/guest/read.ts'
import { write } from '../../src/guest/write.ts'
import { anySandbox } from '../support/control.ts'
import type { Random } from './random.ts'
import { patience, type World } from './world.ts'

export type Seen = 'running' | 'paused' | 'gone'

/** What a client may expect of one sandbox. */
export interface Expected {
  readonly id: string
  readonly metadata: Record<string, string>
  readonly token: string | null
  readonly autoPause: boolean
  /** What it may be found as; more than one where an operation failed */
  states: Set<Seen>
  /** What its file may hold; more than one where a write failed */
  contents: Set<string>
  /** Its guest was ended behind everybody's back, which is noticed at some time: it may be found as anything */
  wasEnded: boolean
  /** The boot of its agent; null where it may have another by now */
  boot: string | null
  /** The earliest deadline it may have, Unix milliseconds */
  endAt: number
}

export interface Client {
  readonly sandboxes: Expected[]
  /** Ids of snapshots that it was told of and hasn't deleted, with what their files hold */
  readonly snapshots: Map<string, Set<string>>
  /** One random operation. Rejects only with what no operation may end with. */
  step(): Promise<void>
  /** What the passing of deadlines may have done. */
  expire(now: number): void
}

const team = { teamId: 'team' }
const lifetimesS = [20, 60, 300]

/** The operations that are also tried two at once, with the states that each leads to. */
const leadsTo = {
  pause: ['paused'],
  pauseFiles: ['paused'],
  connect: ['running'],
  kill: ['gone'],
  snapshot: [],
  traffic: ['running'],
  moveDeadline: [],
} satisfies Record<string, Seen[]>

export function createClient(world: World, random: Random, name: string): Client {
  const sandboxes: Expected[] = []
  const snapshots = new Map<string, Set<string>>()
  let serial = 0

  const options = () => ({ signal: patience(), phase: () => {} })
  const living = () => sandboxes.filter(({ states }) => !(states.size === 1 && states.has('gone')))

  const operations = {
    async create() {
      if (living().length >= 2) return
      const metadata = { client: name, serial: String(serial++) }
      const autoPause = random.chance(0.4)
      const autoResume = autoPause && random.chance(0.5)
      const template = random.chance(0.3) ? (random.pick([...snapshots.keys(), 'base']) ?? 'base') : 'base'
      const contents = new Set(snapshots.get(template) ?? [''])
      const sandbox = await createSandbox(
        world.control,
        {
          ...anySandbox,
          template,
          metadata,
          secure: random.chance(0.5),
          timeoutS: random.pick(lifetimesS),
          onTimeout: autoPause ? 'pause' : 'kill',
          autoResume,
        },
        options(),
      )
      sandboxes.push(expectedOf(sandbox, contents))
      await learnBoot(sandboxes.at(-1)!)
    },
    pause: (it: Expected) => pauseIt(it, true),
    pauseFiles: (it: Expected) => pauseIt(it, false),
    connect: (it: Expected) => connectIt(it, true),
    reboot: (it: Expected) => connectIt(it, false),
    async moveDeadline(it: Expected) {
      const timeoutS = random.pick([0, ...lifetimesS])
      it.endAt = Math.min(it.endAt, world.clock.now() + timeoutS * 1000)
      await setSandboxTimeout(world.control, { ...team, id: it.id }, timeoutS, patience())
    },
    async kill(it: Expected) {
      it.states.add('gone')
      await killSandbox(world.control, { ...team, id: it.id }, patience())
      it.states = new Set(['gone'])
    },
    async write(it: Expected) {
      const guest = await guestOf(it)
      if (guest === undefined) return
      const content = `${name} ${serial++}`
      it.contents.add(content)
      await write(guest, { path: '~/file' }, chunks(content), patience())
      it.contents = new Set([content])
    },
    async snapshot(it: Expected) {
      const named = random.chance(0.3) ? { name: `${name}-${random.below(2)}` } : { name: undefined }
      const contents = new Set(it.contents)
      const { snapshotId } = await snapshotSandbox(
        world.control,
        { ...team, id: it.id },
        { ...named, memory: undefined },
        { signal: patience() },
      )
      snapshots.set(snapshotId, contents)
    },
    async deleteSnapshot() {
      const [identifier] = snapshots.keys()
      if (identifier === undefined) return
      try {
        await deleteTemplate(world.control, { ...team, identifier }, patience())
        snapshots.delete(identifier)
      } catch (error) {
        // In use: it stays. Otherwise it may be gone.
        if (!(error instanceof ServerError && error.code === 'invalid_argument')) snapshots.delete(identifier)
      }
    },
    async fork(it: Expected) {
      if (living().length >= 4) return
      const contents = new Set(it.contents)
      const results = await forkSandbox(
        world.control,
        { ...team, id: it.id },
        { timeoutS: random.pick(lifetimesS), count: 1 + random.below(2) },
        options(),
      )
      for (const result of results) {
        if ('sandbox' in result) sandboxes.push(expectedOf(result.sandbox, new Set(contents)))
      }
    },
    async traffic(it: Expected) {
      // It may wake the sandbox, or find it as it is.
      if (it.states.has('paused')) it.states.add('running')
      const request = { port: 8000, accessToken: undefined, trafficAccessToken: undefined }
      await world.wake(it.id, request, patience())
    },
    async die(it: Expected) {
      const row = await world.store.sandboxes.find(it.id)
      if (row?.state !== 'running' || row.handle === null || !random.chance(0.3)) return
      it.wasEnded = true
      it.boot = null
      try {
        await world.runtimes.end(row.handle)
      } catch {
        // An earlier one has done it.
      }
    },
    async two(it: Expected) {
      const both = [random.pick(single), random.pick(single)]
      const earliest = both.includes('moveDeadline') ? world.clock.now() : it.endAt
      // Which comes first nobody knows, so whatever one of them may lead to may be the outcome.
      const union = new Set<Seen>([...it.states, ...both.flatMap((operation): Seen[] => leadsTo[operation])])
      const outcomes = await Promise.all(
        both.map(async (operation) => ({ operation, done: await attempt(operation, it) })),
      )
      const killed = outcomes.some(({ operation, done }) => operation === 'kill' && done)
      it.states = killed ? new Set(['gone']) : union
      it.endAt = Math.min(it.endAt, earliest)
      it.boot = null
    },
  }
  const single = Object.keys(leadsTo) as (keyof typeof leadsTo)[]
  const names = Object.keys(operations) as (keyof typeof operations)[]

  async function pauseIt(it: Expected, memory: boolean): Promise<void> {
    it.states.add('paused')
    if (!memory) it.boot = null
    await pauseSandbox(world.control, { ...team, id: it.id }, { memory }, patience())
    it.states = new Set(['paused'])
  }

  async function connectIt(it: Expected, memory: boolean): Promise<void> {
    it.states.add('running')
    if (!memory) it.boot = null
    const timeoutS = random.pick(lifetimesS)
    it.endAt = Math.min(it.endAt, world.clock.now() + timeoutS * 1000)
    const connected = await connectSandbox(
      world.control,
      { ...team, id: it.id },
      { timeoutS, memory },
      options(),
    )
    it.states = new Set(['running'])
    it.endAt = connected.sandbox.endAt
    if (!memory) await learnBoot(it)
  }

  /** From now on it is known which processes the sandbox has, unless somebody ended them. */
  async function learnBoot(it: Expected): Promise<void> {
    const guest = it.wasEnded ? undefined : await guestOf(it)
    it.boot = guest === undefined ? null : await bootOf(guest).catch(() => null)
  }

  /** Whether it succeeded. Rejects with what it may not end with. */
  async function attempt(name: keyof typeof operations, it: Expected): Promise<boolean> {
    world.note(it.id, `${name} begins`)
    try {
      await operations[name](it)
      world.note(it.id, `${name} succeeds`)
      return true
    } catch (error) {
      world.note(it.id, `${name} fails: ${error}`)
      const isRefusal = error instanceof ServerError
      if (!isRefusal && !isInjected(error)) throw error
      if (isRefusal && error.code === 'not_found' && !mayHide(it)) {
        throw new Error(
          `${name}: sandbox ${it.id} is said not to exist\n${world.history(it.id).join('\n')}`,
          { cause: error },
        )
      }
      return false
    }
  }

  /** Whether it may be answered as unknown: operations on running sandboxes answer so for paused ones (e2b-wire 2.1). */
  function mayHide(it: Expected): boolean {
    return it.wasEnded || it.states.has('paused') || it.states.has('gone')
  }

  async function guestOf({ id }: Expected): Promise<Guest | undefined> {
    const row = await world.store.sandboxes.find(id)
    const { handle } = row ?? {}
    if (row?.state !== 'running' || handle == null) return undefined
    return { connect: (signal) => world.runtime.connect(handle, signal) }
  }

  function expectedOf(sandbox: Sandbox, contents: Set<string>): Expected {
    return {
      id: sandbox.id,
      metadata: sandbox.metadata,
      token: sandbox.envdAccessToken,
      autoPause: sandbox.onTimeout === 'pause',
      states: new Set(['running']),
      contents,
      wasEnded: false,
      boot: null,
      endAt: sandbox.endAt,
    }
  }

  return {
    sandboxes,
    snapshots,
    async step() {
      const it = random.pick(living())
      const operation = it === undefined ? 'create' : random.pick(names)
      if (it === undefined || operation === 'create') {
        await operations.create().catch((error) => {
          if (!(error instanceof ServerError) && !isInjected(error)) throw error
        })
        return
      }
      await attempt(operation, it)
    },
    expire(now) {
      for (const it of sandboxes) {
        if (it.endAt > now || !it.states.has('running')) continue
        it.states.add(it.autoPause ? 'paused' : 'gone')
      }
    },
  }
}

/** What a step was made to fail with. */
function isInjected(error: unknown): boolean {
  return error instanceof Error && /^(disk I\/O error|(store|runtime)\.)/.test(error.message)
}

async function* chunks(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text)
}

/** The boot of a guest's agent. */
export async function bootOf(guest: Guest): Promise<string> {
  return (await hello(guest, patience())).boot
}

/** What a guest's file holds; '' when there is none. */
export async function contentOf(guest: Guest): Promise<string> {
  try {
    const { body } = await read(guest, { path: '~/file' }, patience())
    const parts: Buffer[] = []
    for await (const part of body) parts.push(part)
    return Buffer.concat(parts).toString()
  } catch (error) {
    if (error instanceof ServerError && error.code === 'not_found') return ''
    throw error
  }
}
