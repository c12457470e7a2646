import { ServerError } from '../../domain/error.ts'

/**
 * Failures on request, so that everything above a runtime can be tried out against them:
 *
 * - `startDelayMs`: each start takes this much longer
 * - `failStart`: each start fails with `internal`, after it has made what a start makes
 * - `dieAfterMs`: each guest's agent is killed this long after its start, also after a boot by `resume`
 * - `diskFull`: each guest's home is a file system of 64 KiB, so that writes end with ENOSPC; needs root, else a start
 *   fails with `failed_precondition`
 * - `pauseDelayMs`, `resumeDelayMs`, `snapshotDelayMs`: each of these takes this much longer; a snapshot while its guest
 *   is frozen
 * - `failPause`: each pause fails with `internal`: one with memory when all is frozen, one without before anything ends
 * - `failResume`: each resume of a guest that doesn't run fails with `internal`, after its agent has answered
 * - `failSnapshot`: each snapshot fails with `internal`, after the copy
 * - `snapshotDiskFull`: each snapshot is written to a file system without any room, so that it ends with ENOSPC; needs
 *   root, else it fails with `failed_precondition`
 */
export interface Faults {
  startDelayMs?: number
  failStart?: boolean
  dieAfterMs?: number
  diskFull?: boolean
  pauseDelayMs?: number
  failPause?: boolean
  resumeDelayMs?: number
  failResume?: boolean
  snapshotDelayMs?: number
  failSnapshot?: boolean
  snapshotDiskFull?: boolean
}

/** What a requested failure is thrown as. */
export function requestedFault(what: string): ServerError {
  return new ServerError('internal', `The sandbox could not be ${what} (requested fault).`)
}

/** Errors: `failed_precondition` unless the server is root, whom a fault that mounts something needs. */
export function requireRoot(fault: keyof Faults): void {
  if (process.getuid?.() === 0) return
  throw new ServerError('failed_precondition', `The fault ${fault} mounts a file system, which needs root.`)
}
