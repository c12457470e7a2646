import type { Guest } from '../guest/guest.ts'

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
}
