import type { SandboxLogEntry } from '../domain/sandbox-log.ts'
import type { Guest } from '../guest/guest.ts'
import type { Semaphore } from '../lib/semaphore.ts'

/** The sandbox that a request is for. */
export interface EnvdTarget {
  guest: Guest
  sandboxId: string
  /** What requests must carry; null: nothing */
  accessToken: string | null
  /** The environment it was created with */
  envVars: Record<string, string>
  /** Aborts when the sandbox stops taking traffic. Has one listener per open request, so its owner lifts Node's limit. */
  gone: AbortSignal
  /** Where what its processes do is written down; absent: nowhere */
  log?: TargetLog
}

export interface TargetLog {
  /** Takes an entry in at once and never fails */
  write(entry: SandboxLogEntry): void
  /** Turns for following processes whose clients have left, the sandbox's own */
  followers: Semaphore
  /** What has been started since traffic came, as long as it isn't known what ran before */
  starts?: Set<Promise<{ pid: number }>>
}
