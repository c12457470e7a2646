/** What tests of runtimes share: guests, what runs in them, and what runtimes report. */
import type { GuestHandle, GuestSpec, Runtime, RuntimeEvent } from '../domain/runtime.ts'
import { type ExecRequest, exec } from '../guest/exec.ts'
import type { Guest } from '../guest/guest.ts'
import { list as listProcesses } from '../guest/list.ts'
import { sleep } from '../lib/deadline.ts'
import { newId, newSandboxId } from '../lib/ids.ts'

export interface RuntimeSuite {
  name: string
  /** A new runtime over the same state each time, as a restarted server would make it */
  create: () => Runtime
  image: string
  /** Whether it says `engine-up` once it hears of ends */
  hasEngine: boolean
  /** Whether it is tested here that images are copied as a whole, which takes long where they are large */
  copiesImages: boolean
  /** What ends where a guest needs more memory than it has: the process that does, or the guest. Default: the process */
  outOfMemory?: 'process' | 'guest'
  /** Ends a guest behind the runtime's back */
  kill: (handle: GuestHandle) => Promise<void>
  /** Leaves what a crash in the middle of a start leaves */
  plantRemainder: (sandboxId: string) => Promise<void>
}

/** What the parts of the suite work with. */
export interface SuiteBench {
  suite: RuntimeSuite
  runtime: Runtime
  /** Every way to pause that the runtime has */
  pauses: { memory: boolean }[]
  /** A guest that is ended after the test */
  start: (spec?: Partial<GuestSpec>, by?: Runtime) => Promise<GuestHandle>
  /** An image that is removed after the test */
  snapshot: (handle: GuestHandle, image?: string) => Promise<string>
  /** Names of images that are removed after the test */
  snapshots: Set<string>
}

/** What a guest that ended by itself may be found as: runtimes differ in whether its file system is of use */
export const dead = ['stopped', 'gone']
/** Longest time that anything in here may take, in milliseconds */
const patienceMs = 30_000
/** Without a word for this long, a process that counts every 10 ms stands still, in milliseconds */
const quietMs = 500
export const patience = () => AbortSignal.timeout(patienceMs)

export function guestSpec(image: string, spec: Partial<GuestSpec> = {}): GuestSpec {
  const sandboxId = spec.sandboxId ?? newSandboxId()
  return {
    sandboxId,
    image,
    cpuCount: 1,
    memoryMb: 128,
    diskMb: 1024,
    hostname: 'e2b',
    egress: 'open',
    ...spec,
  }
}

export function guestOf(runtime: Runtime, handle: GuestHandle): Guest {
  return { connect: (signal) => runtime.connect(handle, signal) }
}

/** A shell that runs a script. */
export function command(script: string): ExecRequest {
  return { cmd: '/bin/sh', args: ['-c', script], env: {}, stdin: false }
}

/** Runs a shell script to its end. */
export async function run(guest: Guest, script: string) {
  const output = { stdout: '', stderr: '', pty: '' }
  const { events } = await exec(guest, command(script), patience())
  for await (const event of events) {
    if (event.type === 'end')
      return { stdout: output.stdout, stderr: output.stderr, status: event.exit.status }
    output[event.type] += event.bytes.toString()
  }
  throw new Error('The process had no end.')
}

/**
 * A process that counts aloud from 1. `next` reads the next number; `standstill` reads until none comes for a while,
 * and returns the last.
 */
export async function count(guest: Guest, step = ':') {
  const script = `i=0; while :; do i=$((i+1)); ${step}; echo $i; sleep 0.01; done`
  const { pid, events } = await exec(guest, command(script), AbortSignal.timeout(2 * patienceMs))
  const numbers = lines()
  let [last, following] = [0, numbers.next()]

  async function* lines() {
    let text = ''
    for await (const event of events) {
      if (event.type === 'end') throw new Error(`The counter ended: ${event.exit.status}`)
      text += event.bytes.toString()
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n')) {
        yield Number(text.slice(0, end))
        text = text.slice(end + 1)
      }
    }
  }
  const next = async () => {
    last = (await following).value ?? Number.NaN
    following = numbers.next()
    following.catch(() => {})
    return last
  }
  const standstill = async () => {
    const late = patience()
    while (await Promise.race([following.then(() => true), sleep(quietMs).then(() => false)])) {
      late.throwIfAborted()
      await next()
    }
    return last
  }
  /** Ends the stream, not the process. */
  const stop = async () => void (await events.return?.())
  return { pid, next, standstill, stop }
}

/** A name that no image has. */
export function newImage(): string {
  return `e2b-server/snapshot:${newId()}`
}

/** Ids of the processes that a guest's agent has started. */
export async function pidsOf(guest: Guest): Promise<number[]> {
  const pids: number[] = []
  for await (const { pid } of await listProcesses(guest, patience())) pids.push(pid)
  return pids
}

/** Collects a runtime's events. */
export function watch(runtime: Runtime) {
  const events: RuntimeEvent[] = []
  const stopping = new AbortController()
  let wake = () => {}
  runtime.watch((event) => {
    events.push(event)
    wake()
  }, stopping.signal)
  const seen = async (type: RuntimeEvent['type'], sandboxId?: string) => {
    const late = patience()
    const isThere = () =>
      events.some(
        (event) =>
          event.type === type && (!sandboxId || ('sandboxId' in event && event.sandboxId === sandboxId)),
      )
    while (!isThere()) {
      await new Promise<void>((resolve, reject) => {
        wake = resolve
        late.addEventListener('abort', () => reject(new Error(`no ${type} in ${JSON.stringify(events)}`)), {
          once: true,
        })
      })
    }
  }
  return { events, seen, stop: () => stopping.abort() }
}

/** Ids of the guests that a runtime has. */
export async function ids(runtime: Runtime): Promise<string[]> {
  return (await runtime.list(patience())).map(({ sandboxId }) => sandboxId)
}
