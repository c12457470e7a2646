/**
 * Operations as OpenTelemetry's traces, sent over OTLP by its own SDK, which is loaded when somebody wants them. A span is made
 * when its operation is over, so nothing waits for one; what the collector doesn't take in time is dropped.
 */
import type { Telemetry } from '../domain/telemetry.ts'
import type { Log } from '../lib/log.ts'

export interface TracesOptions {
  /** Base address of the collector, as `http://localhost:4318` */
  endpoint: string
  /** Of this server */
  version: string
  instanceId: string
  log: Log
}

export interface Traces extends Pick<Telemetry, 'operation'> {
  /** Sends what there is, for a few seconds at most. Never rejects. */
  close(): Promise<void>
}

/** Spans that wait to be sent, and how many go at once. */
const waitingMax = 4096
const batchMax = 512
/** Time between two sendings, and how long one may take, in ms. */
const sendEveryMs = 2_000
const sendTimeoutMs = 5_000

export async function openTraces({ endpoint, version, instanceId, log }: TracesOptions): Promise<Traces> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: sendTimeoutMs })
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'e2b-server',
      'service.version': version,
      'service.instance.id': instanceId,
    }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter,
        maxQueueSize: waitingMax,
        maxExportBatchSize: batchMax,
        scheduledDelayMillis: sendEveryMs,
        exportTimeoutMillis: sendTimeoutMs,
      }),
    ],
  })
  const tracer = provider.getTracer('e2b-server', version)

  return {
    operation({ operation, cause, outcome, phases, totalMs }) {
      const endAt = Date.now()
      let at = endAt - totalMs
      const attributes = { 'e2b.cause': cause, 'e2b.outcome': outcome }
      const whole = tracer.startSpan(operation, { startTime: at, root: true, attributes })
      const within = api.trace.setSpan(api.ROOT_CONTEXT, whole)
      for (const { name, ms } of phases) {
        const part = tracer.startSpan(`${operation} ${name}`, { startTime: at }, within)
        at += ms
        part.end(at)
      }
      if (outcome !== 'ok') whole.setStatus({ code: api.SpanStatusCode.ERROR, message: outcome })
      whole.end(endAt)
    },

    async close() {
      try {
        await provider.forceFlush({ timeoutMillis: sendTimeoutMs })
        await provider.shutdown()
      } catch (error) {
        log.warn({ err: error }, 'the last traces could not be sent')
      }
    },
  }
}
