/** What the server measures of itself, wired to those who know it. */
import type { Admission } from '../control/admission.ts'
import type { Endings } from '../control/endings.ts'
import type { Lifecycle } from '../control/lifecycle.ts'
import { sandboxStates } from '../domain/sandbox-state.ts'
import type { Store } from '../domain/store.ts'
import type { Telemetry } from '../domain/telemetry.ts'
import type { TemplateBuilder } from '../domain/template-builder.ts'
import { sleep } from '../lib/deadline.ts'
import { createLoadMeter } from '../lib/load-meter.ts'
import type { WarmGuests } from '../orchestrator/warm-guests.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import type { Traces } from '../telemetry/traces.ts'

/** Time between two looks at this process, in ms: as often as data workers tell of theirs. */
const loadMs = 1000
const buildStatuses = ['waiting', 'building', 'ready', 'error'] as const

export interface MeasuredParts {
  version: string
  runtime: string
  store: Store
  admission: Admission
  lifecycle: Lifecycle
  endings: Pick<Endings, 'backlog'>
  builder: TemplateBuilder
  warm: Pick<WarmGuests, 'figures'>
}

export function openMetrics({
  store,
  admission,
  lifecycle,
  endings,
  builder,
  warm,
  ...what
}: MeasuredParts): Metrics {
  return createMetrics({
    ...what,
    warmGuests: warm.figures,
    sandboxes: () => countEach(sandboxStates, (state) => store.sandboxes.count({ states: [state] })),
    builds: () => countEach(buildStatuses, (status) => store.builds.count({ statuses: [status] })),
    backlogs: () => ({
      starts: admission.backlog(),
      operations: lifecycle.backlog(),
      ends: endings.backlog(),
      builds: builder.backlog(),
    }),
  })
}

/** What use cases tell of, to metrics and, where there are any, traces. */
export function tellBoth(metrics: Metrics, traces: Traces | undefined): Telemetry {
  if (traces === undefined) return metrics
  return {
    request: metrics.request,
    operation(measured) {
      metrics.operation(measured)
      traces.operation(measured)
    },
  }
}

/** Tells of this process until the signal aborts. */
export async function runLoadMeter(metrics: Metrics, signal: AbortSignal): Promise<void> {
  const meter = createLoadMeter()
  while (!signal.aborted) {
    metrics.controlLoad(meter.read())
    await sleep(loadMs, signal).catch(() => {})
  }
  meter.close()
}

async function countEach<Name extends string>(
  names: readonly Name[],
  count: (name: Name) => Promise<number>,
): Promise<Record<string, number>> {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await count(name)] as const)))
}
