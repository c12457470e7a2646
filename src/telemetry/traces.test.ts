/** The SDK's own exporter against a collector that keeps what it gets. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { openTraces } from './traces.ts'

interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: { stringValue: string } }[]
  status: { code?: number; message?: string }
}

interface Export {
  resourceSpans: { resource: { attributes: Span['attributes'] }; scopeSpans: { spans: Span[] }[] }[]
}

/** `status`: what it answers. */
async function startCollector(status = 200) {
  const exports: Export[] = []
  const paths: string[] = []
  const server = createServer((req, res) => {
    paths.push(`${req.method} ${req.url}`)
    void json(req).then((body) => {
      exports.push(body as Export)
      res.writeHead(status, { 'content-type': 'application/json' }).end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exports,
    paths,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

const known = { version: '1.2.3', instanceId: 'abc', log: silentLog }
const phases = [
  { name: 'admission', ms: 20 },
  { name: 'start', ms: 300 },
] as const

test('an operation is a trace, with a span for each of its phases', async () => {
  await using collector = await startCollector()
  const traces = await openTraces({ ...known, endpoint: `${collector.endpoint}/` })
  traces.operation({ operation: 'create', cause: 'request', outcome: 'ok', phases, totalMs: 325 })
  traces.operation({ operation: 'resume', cause: 'traffic', outcome: 'unavailable', phases: [], totalMs: 5 })
  await traces.close()
  expect(new Set(collector.paths)).toEqual(new Set(['POST /v1/traces']))
  const resources = collector.exports.flatMap(({ resourceSpans }) => resourceSpans)
  expect(resources[0]!.resource.attributes).toContainEqual({
    key: 'service.name',
    value: { stringValue: 'e2b-server' },
  })
  const spans = resources.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
  const named = (name: string) => spans.find((span) => span.name === name)!
  const create = named('create')
  expect(spans).toHaveLength(4)
  const lastedMs = (span: Span) =>
    Number((BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1000n) / 1000
  expect(lastedMs(create)).toBeCloseTo(325, 1)
  const start = named('create start')
  expect(start).toMatchObject({ traceId: create.traceId, parentSpanId: create.spanId })
  expect(lastedMs(start)).toBeCloseTo(300, 1)
  expect(start.startTimeUnixNano).toBe(named('create admission').endTimeUnixNano)
  const resume = named('resume')
  expect(resume.traceId).not.toBe(create.traceId)
  expect(resume.status).toEqual({ code: 2, message: 'unavailable' })
  expect(resume.attributes).toContainEqual({ key: 'e2b.cause', value: { stringValue: 'traffic' } })
})

test('a collector that refuses or is not there holds up nobody', async () => {
  await using collector = await startCollector(400)
  for (const endpoint of [collector.endpoint, 'http://127.0.0.1:9']) {
    const traces = await openTraces({ ...known, endpoint })
    for (let count = 0; count < 10_000; count++)
      traces.operation({ operation: 'kill', cause: 'request', outcome: 'ok', phases: [], totalMs: 1 })
    await traces.close()
  }
  expect(collector.exports.length).toBeGreaterThan(0)
})
