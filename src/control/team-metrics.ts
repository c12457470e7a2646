import { ServerError } from '../domain/error.ts'
import type { TeamSample } from '../domain/team-sample.ts'
import type { ControlContext } from './context.ts'

/** Times are Unix milliseconds; without them the last day until now. */
export interface TeamMetricsRequest {
  teamId: string
  from?: number
  to?: number
}

const defaultRangeMs = 24 * 3600_000
/** Samples in an answer, about: longer times have larger steps. */
const pointsMax = 1_000
/** Shortest step, in ms: that of the samples. */
const stepMinMs = 10_000

type Context = Pick<ControlContext, 'store' | 'clock'>

/** A team's figures over time, oldest first. Errors: `invalid_argument`. */
export function teamMetrics({ store, clock }: Context, request: TeamMetricsRequest): Promise<TeamSample[]> {
  const range = rangeOf(clock.now(), request)
  const stepMs = Math.max(stepMinMs, Math.ceil((range.to - range.from) / pointsMax))
  return store.teamSamples.list({ teamId: request.teamId, ...range, stepMs })
}

/** The sample with the largest figure; one of zeros where there is none. Errors: `invalid_argument`. */
export async function teamMetricsMax(
  { store, clock }: Context,
  request: TeamMetricsRequest & { figure: 'runningSandboxes' | 'startsPerSecond' },
): Promise<TeamSample> {
  const { teamId, figure } = request
  const range = rangeOf(clock.now(), request)
  const none = { teamId, at: range.to, runningSandboxes: 0, startsPerSecond: 0 }
  return (await store.teamSamples.max({ teamId, figure, ...range })) ?? none
}

function rangeOf(now: number, request: TeamMetricsRequest): { from: number; to: number } {
  const to = request.to ?? now
  const from = request.from ?? to - defaultRangeMs
  if (from > to) throw new ServerError('invalid_argument', "'start' is later than 'end'. Swap them.")
  return { from, to }
}
