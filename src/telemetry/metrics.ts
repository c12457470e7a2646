/**
 * What the server measures of itself as Prometheus reads it; docs/metrics.md has the names. What is counted costs its caller
 * a look-up; what can be asked for is asked for when somebody reads.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type {
  Backlog,
  ProcessLoad,
  RequestCounts,
  Telemetry,
  WarmFigures,
  WorkerLoad,
} from '../domain/telemetry.ts'

export interface MetricsParts {
  version: string
  runtime: string
  /** By state */
  sandboxes: () => Promise<Record<string, number>>
  /** By status */
  builds: () => Promise<Record<string, number>>
  /** By what it waits for */
  backlogs: () => Record<string, Backlog>
  /** By template, of those whose names are the server's own */
  warmGuests: () => Record<string, WarmFigures>
}

export interface Metrics extends Telemetry {
  /** Of the text */
  readonly contentType: string
  /** What this process takes, once in a while. */
  controlLoad(load: ProcessLoad): void
  /** The same of a data worker, known by its place among them. */
  workerLoad(index: number, load: WorkerLoad): void
  /** A data worker has ended, and counts from the beginning if another takes its place. */
  workerEnded(index: number): void
  /** All of it. Errors: those of what it asks. */
  text(): Promise<string>
}

/** In seconds: what takes a millisecond and what takes a minute. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
/** In seconds: from what nobody notices to what looks like a standstill. */
const delayBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
/** Others have no label of their own. */
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

export function createMetrics(parts: MetricsParts): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const { operations, durations, phaseDurations } = createOperationMetrics(registers)
  const requests = new Counter({
    name: 'e2b_api_requests_total',
    help: 'Requests that the API has answered, by method, route and status',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  const errors = new Counter({
    name: 'e2b_api_errors_total',
    help: 'Requests that the API has refused or failed, by method, route and error code',
    labelNames: ['method', 'route', 'code'],
    registers,
  })
  const processes = createProcessMetrics(registers)
  addGauges(registers, parts)
  addWarmFigures(registers, parts)

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    ...processes,

    operation({ operation, cause, outcome, phases, totalMs }) {
      operations.inc({ operation, cause, outcome })
      // How long a failure took says how patient somebody was.
      if (outcome !== 'ok') return
      durations.observe({ operation, cause }, totalMs / 1000)
      for (const { name, ms } of phases) phaseDurations.observe({ operation, phase: name }, ms / 1000)
    },

    request({ method: given, route: known, status, code }) {
      const method = methods.has(given) ? given : 'other'
      const route = known ?? 'none'
      requests.inc({ method, route, status })
      if (code !== null) errors.inc({ method, route, code })
    },
  }
}

function createOperationMetrics(registers: Registry[]) {
  return {
    operations: new Counter({
      name: 'e2b_operations_total',
      help: 'Operations on sandboxes that are over, by what came of them',
      labelNames: ['operation', 'cause', 'outcome'],
      registers,
    }),
    durations: new Histogram({
      name: 'e2b_operation_duration_seconds',
      help: 'Time that operations took, those that succeeded',
      labelNames: ['operation', 'cause'],
      buckets,
      registers,
    }),
    phaseDurations: new Histogram({
      name: 'e2b_operation_phase_duration_seconds',
      help: 'Time that the phases of operations took, of those that succeeded',
      labelNames: ['operation', 'phase'],
      buckets,
      registers,
    }),
  }
}

/** Of the control process and each data worker: `process="control"`, `process="data-0"` and so on. */
function createProcessMetrics(registers: Registry[]) {
  const labelNames = ['process'] as const
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers })
  const mean = gauge(
    'e2b_event_loop_delay_seconds',
    'How late the event loop was in the last second, on average',
  )
  const rss = gauge('e2b_process_resident_memory_bytes', 'Memory of the process')
  const heap = gauge('e2b_process_heap_bytes', 'Memory of JavaScript objects in it')
  const longest = new Histogram({
    name: 'e2b_event_loop_delay_max_seconds',
    help: 'The longest delay of the event loop, of each second',
    labelNames,
    buckets: delayBuckets,
    registers,
  })
  const cpu = new Counter({
    name: 'e2b_process_cpu_seconds_total',
    help: 'CPU time of the process',
    labelNames,
    registers,
  })
  const taken = new Counter({
    name: 'e2b_edge_requests_total',
    help: 'Requests that the data workers have taken in, by what they were for',
    labelNames: ['kind'],
    registers,
  })
  const ends = new Counter({
    name: 'e2b_data_worker_ends_total',
    help: 'Data workers that have ended, and another took their place',
    registers,
  })
  /** What a process had counted the last time */
  const before = new Map<string, { cpuMs: number; requests: Partial<RequestCounts> }>()

  const take = (process: string, load: ProcessLoad & { requests?: RequestCounts }) => {
    const { cpuMs, rssBytes, heapBytes, loopDelayMs } = load
    const requests: Partial<RequestCounts> = load.requests ?? {}
    const last = before.get(process)
    before.set(process, { cpuMs, requests })
    mean.set({ process }, loopDelayMs.mean / 1000)
    longest.observe({ process }, loopDelayMs.max / 1000)
    rss.set({ process }, rssBytes)
    heap.set({ process }, heapBytes)
    cpu.inc({ process }, growth(last?.cpuMs, cpuMs) / 1000)
    for (const [kind, count] of Object.entries(requests))
      taken.inc({ kind }, growth(last?.requests[kind as keyof RequestCounts], count))
  }

  return {
    controlLoad: (load: ProcessLoad) => take('control', load),
    workerLoad: (index: number, load: WorkerLoad) => take(`data-${index}`, load),
    workerEnded(index: number) {
      const process = `data-${index}`
      before.delete(process)
      for (const each of [mean, rss, heap]) each.remove({ process })
      ends.inc()
    },
  }
}

/** What has come since, of something that only grows. */
function growth(before = 0, now: number): number {
  return Math.max(0, now - before)
}

function addGauges(registers: Registry[], { version, runtime, sandboxes, builds, backlogs }: MetricsParts) {
  new Gauge({
    name: 'e2b_server_info',
    help: '1, with what this server is',
    labelNames: ['version', 'runtime'],
    registers,
  }).set({ version, runtime }, 1)
  new Gauge({
    name: 'e2b_sandboxes',
    help: 'Sandboxes, by state',
    labelNames: ['state'],
    registers,
    async collect() {
      for (const [state, count] of Object.entries(await sandboxes())) this.set({ state }, count)
    },
  })
  new Gauge({
    name: 'e2b_builds',
    help: 'Builds of templates and snapshots that are recorded, by status',
    labelNames: ['status'],
    registers,
    async collect() {
      for (const [status, count] of Object.entries(await builds())) this.set({ status }, count)
    },
  })
  new Gauge({
    name: 'e2b_queue_length',
    help: 'What waits for its turn or has it, by queue',
    labelNames: ['queue', 'state'],
    registers,
    collect() {
      for (const [queue, { waiting, running }] of Object.entries(backlogs())) {
        this.set({ queue, state: 'waiting' }, waiting)
        this.set({ queue, state: 'running' }, running)
      }
    },
  })
}

function addWarmFigures(registers: Registry[], { warmGuests }: MetricsParts) {
  new Gauge({
    name: 'e2b_warm_guests',
    help: 'Guests that are started ahead of their sandboxes, by template and state',
    labelNames: ['template', 'state'],
    registers,
    collect() {
      this.reset()
      for (const [template, { waiting, starting }] of Object.entries(warmGuests())) {
        this.set({ template, state: 'waiting' }, waiting)
        this.set({ template, state: 'starting' }, starting)
      }
    },
  })
  new Counter({
    name: 'e2b_warm_claims_total',
    help: 'Creates by whether a guest waited for them, by template',
    labelNames: ['template', 'outcome'],
    registers,
    collect() {
      this.reset()
      for (const [template, { claimed, missed }] of Object.entries(warmGuests())) {
        this.inc({ template, outcome: 'claimed' }, claimed)
        this.inc({ template, outcome: 'missed' }, missed)
      }
    },
  })
}
