import { expect, test } from 'vitest'
import type { WorkerLoad } from '../domain/telemetry.ts'
import { createMetrics, type MetricsParts } from './metrics.ts'

const parts: MetricsParts = {
  version: '1.2.3',
  runtime: 'process',
  sandboxes: async () => ({ running: 2, paused: 1 }),
  builds: async () => ({ ready: 3 }),
  backlogs: () => ({ starts: { waiting: 4, running: 5 } }),
  warmGuests: () => ({ base: { waiting: 6, starting: 1, claimed: 7, missed: 8 } }),
}
const load = (api: number, cpuMs: number): WorkerLoad => ({
  loopDelayMs: { mean: 2, max: 30 },
  cpuMs,
  rssBytes: 1000,
  heapBytes: 500,
  requests: { api, envd: 0, port: 0, refused: 0, upgrade: 0 },
})

/** The values of all lines, by name and labels. */
async function read({ text }: { text(): Promise<string> }): Promise<Record<string, number>> {
  const lines = (await text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.replace(/ \S+$/, ''), Number(/\S+$/.exec(line)![0])]))
}

test('what operations took is kept by phase, and of failures only that they were', async () => {
  const metrics = createMetrics(parts)
  const phases = [
    { name: 'start', ms: 20 },
    { name: 'record', ms: 5 },
  ] as const
  metrics.operation({ operation: 'create', cause: 'request', outcome: 'ok', phases, totalMs: 25 })
  metrics.operation({ operation: 'create', cause: 'request', outcome: 'unavailable', phases, totalMs: 9000 })
  const said = await read(metrics)
  expect(said).toMatchObject({
    'e2b_operations_total{operation="create",cause="request",outcome="ok"}': 1,
    'e2b_operations_total{operation="create",cause="request",outcome="unavailable"}': 1,
    'e2b_operation_duration_seconds_sum{operation="create",cause="request"}': 0.025,
    'e2b_operation_duration_seconds_bucket{le="0.01",operation="create",cause="request"}': 0,
    'e2b_operation_duration_seconds_bucket{le="0.025",operation="create",cause="request"}': 1,
    'e2b_operation_phase_duration_seconds_sum{operation="create",phase="start"}': 0.02,
    'e2b_operation_phase_duration_seconds_count{operation="create",phase="record"}': 1,
  })
})

test('what nobody listed has no label of its own', async () => {
  const metrics = createMetrics(parts)
  metrics.request({ method: 'GET', route: '/sandboxes/:sandboxID', status: 200, code: null })
  metrics.request({ method: 'PROPFIND', route: null, status: 404, code: 'not_found' })
  metrics.request({ method: 'MKCOL', route: null, status: 404, code: 'not_found' })
  const said = await read(metrics)
  expect(said['e2b_api_requests_total{method="GET",route="/sandboxes/:sandboxID",status="200"}']).toBe(1)
  expect(said['e2b_api_requests_total{method="other",route="none",status="404"}']).toBe(2)
  expect(said['e2b_api_errors_total{method="other",route="none",code="not_found"}']).toBe(2)
  expect(Object.keys(said).filter((line) => line.startsWith('e2b_api_errors'))).toHaveLength(1)
})

test('totals go on over the end of a data worker, whose other values go with it', async () => {
  const metrics = createMetrics(parts)
  metrics.workerLoad(0, load(10, 1000))
  metrics.workerLoad(0, load(15, 1500))
  metrics.workerLoad(1, load(100, 100))
  metrics.controlLoad(load(0, 250))
  metrics.workerEnded(0)
  expect(await read(metrics)).not.toHaveProperty('e2b_process_heap_bytes{process="data-0"}')
  metrics.workerLoad(0, load(2, 40))
  expect(await read(metrics)).toMatchObject({
    'e2b_edge_requests_total{kind="api"}': 117,
    'e2b_process_cpu_seconds_total{process="data-0"}': 1.54,
    'e2b_process_cpu_seconds_total{process="control"}': 0.25,
    'e2b_process_heap_bytes{process="data-0"}': 500,
    'e2b_event_loop_delay_seconds{process="data-0"}': 0.002,
    'e2b_event_loop_delay_max_seconds_bucket{le="0.025",process="data-0"}': 0,
    'e2b_event_loop_delay_max_seconds_count{process="data-0"}': 3,
    e2b_data_worker_ends_total: 1,
  })
})

test('what can be asked for is asked for when somebody reads', async () => {
  let running = 2
  const metrics = createMetrics({ ...parts, sandboxes: async () => ({ running: running++ }) })
  expect(await read(metrics)).toMatchObject({ 'e2b_sandboxes{state="running"}': 2 })
  expect(await read(metrics)).toMatchObject({
    'e2b_sandboxes{state="running"}': 3,
    'e2b_builds{status="ready"}': 3,
    'e2b_queue_length{queue="starts",state="waiting"}': 4,
    'e2b_queue_length{queue="starts",state="running"}': 5,
    'e2b_warm_guests{template="base",state="waiting"}': 6,
    'e2b_warm_guests{template="base",state="starting"}': 1,
    'e2b_warm_claims_total{template="base",outcome="claimed"}': 7,
    'e2b_warm_claims_total{template="base",outcome="missed"}': 8,
    'e2b_server_info{version="1.2.3",runtime="process"}': 1,
  })
})
