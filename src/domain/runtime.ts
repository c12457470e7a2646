/**
 * A runtime is whatever can start a guest and open a byte stream to its agent. Everything above this line
 * (envd, ports, deadlines, metrics) is written once; a runtime knows nothing of it.
 *
 * `src/runtimes/runtime.suite.ts` is the contract's test: every runtime passes it.
 */
import type { Duplex } from 'node:stream'
import type { AgentAddress } from './data-plane.ts'
import type { Images } from './images.ts'
import type { Egress } from './network.ts'
import type { EndPhase } from './telemetry.ts'

/** What a runtime truly does, as data: a request that needs more gets a typed error naming the capability. */
export interface Capabilities {
  /** `none`; `resident`: frozen with its RAM held; `durable`: survives a restart of the host */
  memoryPause: 'none' | 'resident' | 'durable'
  memorySnapshot: boolean
  filesystemSnapshot: boolean
  /** What of traffic out is enforced: nothing, or whether there is any (`Egress`) */
  egressPolicy: 'none' | 'switch'
  /** Whether `diskMb` is enforced */
  diskLimit: boolean
  /** Whether CPU, memory and pids limits are enforced */
  resourceLimits: boolean
  /** Whether sandboxes are kept apart from each other and from the host */
  isolation: boolean
}

/** How a runtime finds itself on this machine; `doctor` prints it. */
export interface Fingerprint {
  usable: boolean
  /** Why it isn't usable and what to do about it, or what is worth knowing */
  detail: string
  /** Component versions, e.g. `{ engine: '20.10.24', api: '1.41' }` */
  versions: Record<string, string>
  cpuCount: number
  memoryMb: number
  /** What sandboxes do without that they have on other runtimes, in sentences; absent: nothing */
  lacks?: string
  /** Why sandboxes share the machine's disk, in a sentence; absent: each has its own, or no runtime of this kind gives any */
  sharedDisk?: string
  /** What holds guests in, by name, and whether it is there; absent where nothing does */
  isolation?: Record<string, boolean>
  /** Where guests are kept, as the engine names it; absent where it doesn't say */
  dataDir?: string
}

/** What a guest is to be. */
export interface GuestSpec {
  sandboxId: string
  /** Name of an image the runtime has */
  image: string
  cpuCount: number
  memoryMb: number
  diskMb: number
  hostname: string
  /** `closed` from before its agent does anything (capability `egressPolicy`) */
  egress: Egress
}

/**
 * A started guest as plain data: the caller persists it before it tells anyone, so that a restarted server finds
 * its sandboxes again. Only the runtime that made it reads `state`.
 */
export interface GuestHandle {
  runtime: string
  /** Version of the layout of `state` */
  version: number
  sandboxId: string
  state: Record<string, string | number | boolean>
}

/**
 * What a guest is found as:
 *
 * - `running`: its agent answers
 * - `unreachable`: it runs, but its agent doesn't answer just now; that may be load, and passes
 * - `cut-off`: it runs, but no agent listens and none will: a boot that broke off, an end that is under way. Its file
 *   system is all that can be used again, once `pause` without memory has ended the rest
 * - `paused`: frozen with its memory
 * - `stopped`: its file system is there, its agent isn't
 * - `gone`: nothing of it is there
 */
export type GuestCondition = 'running' | 'unreachable' | 'cut-off' | 'paused' | 'stopped' | 'gone'

/** What one guest uses, as the host sees it. */
export interface GuestStats {
  memoryBytes: number
  cpuMicros: number
  pids: number
}

/** What `watch` reports. */
export type RuntimeEvent =
  /** A guest ended without having been asked to */
  | { type: 'guest-gone'; sandboxId: string }
  /** The engine behind the runtime no longer answers; running guests may well live on */
  | { type: 'engine-down'; reason: string }
  /** It answers again; events may have been missed, so the caller reconciles */
  | { type: 'engine-up' }

/**
 * Errors of every method: `unavailable` (the engine doesn't answer; raised within 2 s), `canceled` or
 * `deadline_exceeded` (by the signal), `internal`. Further ones are named at the method.
 */
export interface Runtime {
  readonly name: string
  readonly capabilities: Capabilities
  readonly images: Images

  /** Never throws: an unusable runtime says so in the answer. */
  fingerprint(signal: AbortSignal): Promise<Fingerprint>

  /**
   * Starts a guest whose agent accepts connections by the time this resolves. On failure nothing is left behind,
   * but for what `list` finds after a crash. `phase` is called where `network` and `start` end, for timings. Errors: `not_found` (image), `resource_exhausted`, `unimplemented` (naming
   * the capability), `failed_precondition` (what keeps guests closed isn't there).
   */
  start(spec: GuestSpec, signal: AbortSignal, phase?: EndPhase): Promise<GuestHandle>

  /** What became of a guest from before a restart. Changes nothing about it. */
  recover(handle: GuestHandle, signal: AbortSignal): Promise<GuestCondition>

  /**
   * With `memory`: freezes the guest with its processes, which hold their memory (capability `memoryPause`). Without:
   * ends its processes and keeps its file system; works on a frozen guest too, which loses its memory. Idempotent.
   * Resolves with whether there is memory of it: one that has ended by itself, maybe only just, has none to keep, and is
   * `stopped` then. On failure a running guest runs on. Errors: `not_found` (guest), `unimplemented` (naming the capability).
   */
  pause(handle: GuestHandle, options: { memory: boolean }, signal: AbortSignal): Promise<{ memory: boolean }>

  /**
   * Thaws a frozen guest (`booted: false`), or boots a stopped one from its file system: a new agent, a new boot id,
   * to be configured anew (`booted: true`). Resolves when the agent accepts connections; a running guest is left as
   * it is. On failure the guest is `paused` or `stopped` as before. The handle replaces the one given.
   * By the time it runs its traffic out is as `egress` says, absent: as it was, open after a boot.
   * Errors: `not_found` (guest), `resource_exhausted`, `unimplemented` and `failed_precondition` as `start`.
   */
  resume(
    handle: GuestHandle,
    signal: AbortSignal,
    options?: { egress?: Egress | undefined },
  ): Promise<{ handle: GuestHandle; booted: boolean }>

  /**
   * Opens or closes a guest's traffic out until its processes end: with `closed` nothing leaves it, connections that are
   * open included, but for what the server itself asked for. Idempotent, and cheap for what is so already. On failure it
   * may be either. Errors: `not_found` (guest), `unimplemented` and `failed_precondition` as `start`.
   */
  setEgress(handle: GuestHandle, egress: Egress, signal: AbortSignal): Promise<void>

  /**
   * Copies the file system of a guest, in whatever condition, to a new image (capability `filesystemSnapshot`). A
   * running guest is frozen only for the copy and runs again by the time this settles. However many snapshots of one
   * another a guest descends from, there can be one more. On failure there is no such
   * image. `brief`: it is there for guests that are started from it now, so it need not be on the disk before their own files
   * are. Errors: `not_found` (guest), `conflict` (image), `resource_exhausted` (disk).
   */
  snapshot(
    handle: GuestHandle,
    image: string,
    signal: AbortSignal,
    options?: { brief?: boolean },
  ): Promise<void>

  /** A new byte stream to the guest's agent. Errors: `unavailable` when nothing answers there. */
  connect(handle: GuestHandle, signal: AbortSignal): Promise<Duplex>

  /** Where the agent of a running guest is reached, until the guest is paused, booted anew or ended. */
  address(handle: GuestHandle): AgentAddress

  /** Ends the guest and frees all it had. Idempotent: an unknown guest is success. */
  destroy(handle: GuestHandle, signal: AbortSignal): Promise<void>

  /** Errors: `not_found`. */
  stats(handle: GuestHandle, signal: AbortSignal): Promise<GuestStats>

  /** Every guest of this server that exists, whether running or a remainder, for reconciliation. */
  list(signal: AbortSignal): Promise<GuestHandle[]>

  /** Reports what happens to guests and engine until the signal aborts. At most one watcher. */
  watch(listener: (event: RuntimeEvent) => void, signal: AbortSignal): void

  /** Releases what the runtime itself holds (connections, timers). Guests live on. */
  close(): Promise<void>
}
