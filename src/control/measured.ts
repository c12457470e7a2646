import { toError } from '../domain/error.ts'
import type { Cause, EndPhase, Operation } from '../domain/telemetry.ts'
import { startPhaseClock } from '../lib/phase-clock.ts'
import type { ControlContext } from './context.ts'

export interface MeasuredOptions<T> {
  operation: Operation
  cause: Cause
  /** When it began to wait for its turn, as `performance.now()` says it; absent: it didn't */
  since?: number
  /** Whoever asks is told of the phases too */
  phase?: EndPhase | undefined
  /** Whether what came of it is told; absent: it is */
  counts?: (result: T) => boolean
}

/** For callers that nobody asks about their phases. */
export const untimed: EndPhase = () => {}

/** Runs an operation and tells how long it took, whichever way it ended. Errors: its own. */
export async function measured<T>(
  { telemetry }: Pick<ControlContext, 'telemetry'>,
  { operation, cause, since, phase = untimed, counts = () => true }: MeasuredOptions<T>,
  task: (phase: EndPhase) => Promise<T>,
): Promise<T> {
  const clock = startPhaseClock<Parameters<EndPhase>[0]>(since)
  const end: EndPhase = (name) => {
    clock.end(name)
    phase(name)
  }
  if (since !== undefined) end('queue')
  const tell = (outcome: Parameters<typeof telemetry.operation>[0]['outcome']) =>
    telemetry.operation({ operation, cause, outcome, phases: clock.phases, totalMs: clock.totalMs() })
  try {
    const result = await task(end)
    if (counts(result)) tell('ok')
    return result
  } catch (error) {
    tell(toError(error).code)
    throw error
  }
}
