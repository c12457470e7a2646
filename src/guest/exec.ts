import type { Guest } from './guest.ts'
import { openProcessStream, type ProcessStream } from './process-stream.ts'

export interface ExecRequest {
  cmd: string
  args: string[]
  /** Above the configured environment */
  env: Record<string, string>
  /** Absent: the default working directory, else the home */
  cwd?: string
  /** Absent: the default user */
  user?: string
  /** False: the process reads end of file */
  stdin: boolean
  pty?: { cols: number; rows: number }
  /** A name to select it by */
  tag?: string
  /** The process is killed after this time in milliseconds, whether or not anybody follows it */
  timeoutMs?: number
}

/**
 * Starts a process and follows it; letting go of it doesn't end it. Errors: `unauthenticated` (user),
 * `invalid_argument` (cwd), `unavailable`, `internal`, `canceled`.
 */
export function exec(guest: Guest, request: ExecRequest, signal: AbortSignal): Promise<ProcessStream> {
  return openProcessStream(guest, { ...request, op: 'exec' }, { signal })
}
