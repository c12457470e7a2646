/** Who may start a sandbox now: limits of teams, and what the machine can take. */

export interface AdmissionRequest {
  teamId: string
  /** A resume counts like a create, but isn't one against a rate of creates */
  kind: 'create' | 'resume'
  cpuCount: number
  memoryMb: number
  diskMb: number
}

export interface Admission {
  /**
   * Waits for a turn to start one sandbox. What resolves is called when the start is over, whichever way; from then
   * on the store's rows speak for the sandbox. Errors: `resource_exhausted` (a limit of the team), `unavailable` (the
   * machine, with `retryAfterS`), `canceled`.
   */
  enter(request: AdmissionRequest, signal: AbortSignal): Promise<() => void>
}

/** Admits everything at once. */
export function createAdmission(): Admission {
  return {
    async enter(_request, signal) {
      signal.throwIfAborted()
      return () => {}
    },
  }
}
