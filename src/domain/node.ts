/**
 * A machine that runs sandboxes, as the control plane sees it. The control plane decides and records; a node only
 * does what it is told and reports what happens to its guests.
 */
import type { Images } from './images.ts'
import type { Capabilities, GuestCondition, GuestHandle } from './runtime.ts'
import type { Sandbox } from './sandbox.ts'
import type { SandboxMetrics } from './sandbox-metrics.ts'
import type { EndPhase } from './telemetry.ts'

/** Starts of guests since the server started. */
export interface StartCounts {
  underWay: number
  succeeded: number
  failed: number
}

export interface StartOptions {
  signal: AbortSignal
  phase: EndPhase
  onUp?: () => void
}

/** What guests that were started ahead have in common with the sandboxes they are for. */
export type WarmKind = Pick<
  Sandbox,
  'templateId' | 'buildId' | 'image' | 'cpuCount' | 'memoryMb' | 'diskMb' | 'defaults'
>

export interface SandboxNode {
  /** What this node's sandboxes run on. */
  readonly runtime: string
  readonly capabilities: Capabilities
  readonly images: Images

  /**
   * The id of a guest that was started ahead and waits for a sandbox of that kind, which has to be of that id; undefined where
   * there is none. `useClaimed` makes it the sandbox's; `putBack` follows in any case, once that has a row or won't have one.
   */
  claim(kind: WarmKind): string | undefined
  putBack(sandboxId: string): void
  /**
   * Configures the guest that was claimed for a sandbox; it takes no traffic yet. Undefined where it is of no use: nothing is left
   * of it then, and another is started under another id. Errors: the signal's reason; nothing is left then either.
   */
  useClaimed(sandbox: Sandbox, options: StartOptions): Promise<GuestHandle | undefined>
  /** Ends the guests that wait for sandboxes of a template that is gone. Never rejects. */
  retire(templateId: string): Promise<void>
  /** Whether a guest waits here for a sandbox that isn't there yet */
  owns(sandboxId: string): boolean

  /**
   * Starts and configures a guest; it takes no traffic yet. On failure nothing is left but what `guests` finds after
   * a crash. `phase` is called as each step of the start ends, for timings, and `onUp` when the guest is up and configured, which its
   * build's commands may take long to make ready. Errors: those of `Runtime.start`.
   */
  start(sandbox: Sandbox, options: StartOptions): Promise<GuestHandle>

  /** Lets traffic reach a sandbox that `start` or `recover` found running. `fresh`: `start`, so that nothing runs in it */
  admit(sandbox: Sandbox, options?: { fresh?: boolean }): void

  /**
   * Ends traffic: first nobody finds the sandbox any more, then its connections are cut. Resolves once both are so.
   * Idempotent, never rejects.
   */
  withdraw(sandboxId: string): Promise<void>

  /** What became of a guest from before a restart. Errors: `unavailable`. */
  recover(handle: GuestHandle, signal: AbortSignal): Promise<GuestCondition>

  /** Errors: those of `Runtime.pause`. */
  pause(handle: GuestHandle, options: { memory: boolean }, signal: AbortSignal): Promise<{ memory: boolean }>

  /**
   * Makes a paused or stopped guest run; a booted one is configured by the time this resolves. It takes no traffic
   * yet. On failure the guest is as it was. Errors: those of `Runtime.resume`.
   */
  resume(sandbox: Sandbox, options: StartOptions): Promise<{ handle: GuestHandle; booted: boolean }>

  /**
   * Makes a guest's traffic out what its record says, where that says anything. Cheap for what is so already. Errors: those
   * of `Runtime.setEgress`.
   */
  applyEgress(sandbox: Sandbox, signal: AbortSignal): Promise<void>

  /** Errors: those of `Runtime.snapshot`. */
  snapshot(
    handle: GuestHandle,
    image: string,
    signal: AbortSignal,
    options?: { brief?: boolean },
  ): Promise<void>

  /** What a running guest uses now, as its agent says. Errors: `unavailable`, `canceled`. */
  sample(
    handle: GuestHandle,
    signal: AbortSignal,
  ): Promise<Omit<SandboxMetrics, 'sandboxId' | 'at'> & { timestampMs: number }>

  /** Ends a guest and frees all it had. Idempotent. Errors: `unavailable`. */
  destroy(handle: GuestHandle, signal: AbortSignal): Promise<void>

  /** Every guest that exists on this node. Errors: `unavailable`. */
  guests(signal: AbortSignal): Promise<GuestHandle[]>
}
