import { ServerError } from '../domain/error.ts'
import type { TeamLimits } from '../domain/team.ts'

/** Refuses a lifetime, in seconds, that is longer than the team may have. Errors: `invalid_argument`. */
export function checkLifetime({ lifetimeS }: Pick<TeamLimits, 'lifetimeS'>, timeoutS: number): void {
  if (lifetimeS === null || timeoutS <= lifetimeS) return
  throw new ServerError(
    'invalid_argument',
    `Timeout can't be greater than ${lifetimeS} s (${lifetimeS / 3600} h), the longest life of this team's sandboxes. ` +
      'Ask for less, or have the operator raise it: "e2b-server teams limits <team> --lifetime-hours <n>".',
  )
}

/**
 * The deadline that is asked for, or the latest that the team's sandbox may have, in Unix milliseconds. Its life counts
 * from its last start, so that what is paused doesn't age.
 */
export function clampEnd(
  { lifetimeS }: Pick<TeamLimits, 'lifetimeS'>,
  startedAt: number,
  endAt: number,
): number {
  return lifetimeS === null ? endAt : Math.min(endAt, startedAt + lifetimeS * 1000)
}
