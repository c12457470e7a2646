/**
 * Failures on request, so that everything above a runtime can be tried out against them:
 *
 * - `startDelayMs`: each start takes this much longer
 * - `failStart`: each start fails with `internal`, after it has made what a start makes
 * - `dieAfterMs`: each guest's agent is killed this long after its start
 * - `diskFull`: each guest's home is a file system of 64 KiB, so that writes end with ENOSPC; needs root, else a start
 *   fails with `failed_precondition`
 */
export interface Faults {
  startDelayMs?: number
  failStart?: boolean
  dieAfterMs?: number
  diskFull?: boolean
}
