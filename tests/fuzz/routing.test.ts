/** Which sandbox a request reaches, by whatever its head says. */
import { once } from 'node:events'
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EdgeFixture, startEdge } from '../../src/edge/edge.fixture.ts'
import { routeOf } from '../../src/edge/route.ts'
import { within } from './support/bytes.ts'
import { fuzz } from './support/fuzz.ts'

const ids = ['ialpha', 'ibeta', 'i0']

const part = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('49983', '3000', '0', '65536', '-', '.', ':', '[', ']', ...ids) },
  fc.constantFrom(
    'sandbox',
    'localhost',
    '127.0.0.1',
    'api.',
    'x',
    'A',
    ' ',
    '\t',
    ',',
    '@',
    '/',
    '%2e',
    '::1',
  ),
  fc.string({ maxLength: 5 }),
  fc.string({ maxLength: 5, unit: 'binary' }),
)
const hostile = fc.array(part, { maxLength: 7 }).map((parts) => parts.join(''))
const host = fc.oneof(
  hostile,
  fc.constantFrom(
    'localhost',
    '127.0.0.1:3000',
    '[::1]',
    'sandbox.x.y',
    ...ids.map((id) => `49983-${id}.localhost`),
  ),
)
const headerValue = fc.oneof(fc.constantFrom(...ids, '49983', '3000'), hostile)

test('routes: total, and a sandbox is only ever one that was named', () =>
  fuzz({
    name: 'routes',
    input: fc.record({
      host: fc.option(host, { nil: null }),
      id: fc.option(headerValue, { nil: null }),
      port: fc.option(headerValue, { nil: null }),
      domain: fc.option(hostile, { nil: null }),
    }),
    check({ host: named, id, port, domain }) {
      const route = routeOf(
        { host: named ?? undefined, sandboxIdHeader: id ?? undefined, sandboxPortHeader: port ?? undefined },
        { domain: domain ?? undefined },
      )
      if (route.kind === 'error') expect(route.status).toBe(400)
      if (route.kind !== 'sandbox') return
      expect(route.sandboxId).toMatch(/^[a-z0-9]{1,63}$/)
      expect(route.port).toBeGreaterThanOrEqual(1)
      expect(route.port).toBeLessThanOrEqual(65_535)
      const label = (named ?? '').toLowerCase().split('.')[0]!
      const byName = label.startsWith(`${route.port}-${route.sandboxId}`)
      const byHeader = id === route.sandboxId && port === String(route.port)
      expect(byName || byHeader).toBe(true)
      if (/^\d+-[a-z0-9]+$/.test(label) && !byHeader) expect(byName).toBe(true)
    },
  }))

let edge: EdgeFixture
beforeAll(async () => {
  edge = await startEdge()
  for (const id of ids) edge.addSandbox(id, (_req, res) => void res.end(`<${id}>`))
})
afterAll(() => edge[Symbol.asyncDispose]())

interface Head {
  /** Names and values, in their order and as they are sent */
  headers: { name: string; value: string }[]
  target: string
}

const head: fc.Arbitrary<Head> = fc.record({
  target: fc.constantFrom(
    '/',
    '/health',
    'http://49983-ibeta.localhost/',
    '*',
    '/\r\nHost: 49983-i0.x',
    '//x',
  ),
  headers: fc.array(
    fc.oneof(
      host.map((value) => ({ name: 'Host', value })),
      headerValue.map((value) => ({ name: 'E2b-Sandbox-Id', value })),
      headerValue.map((value) => ({ name: 'E2b-Sandbox-Port', value })),
      fc.record({
        name: fc.constantFrom(
          'host',
          'HOST',
          'e2b-sandbox-id',
          'X-Forwarded-Host',
          'Host ',
          ' Host',
          'Connection',
        ),
        value: hostile,
      }),
    ),
    { maxLength: 6 },
  ),
})

test('heads: over the network, too, nobody but who was named answers', () =>
  fuzz({
    name: 'heads',
    input: head,
    async check({ headers, target }) {
      const lines = [`GET ${target} HTTP/1.1`, ...headers.map(({ name, value }) => `${name}: ${value}`)]
      const answer = await exchange(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`)
      expect(answer).toMatch(/^(HTTP\/1\.1 [1-5]\d\d |$)/)
      expect(answer).not.toMatch(/^HTTP\/1\.1 500 /)
      const served = /<(i[a-z0-9]+)>/.exec(answer)?.[1]
      if (served === undefined) return
      const said = lines.slice(1).join('\n').toLowerCase()
      expect(said).toContain(served)
      const firstHost = headers.find(({ name }) => name.toLowerCase() === 'host')?.value.trim() ?? ''
      const label = /^49983-([a-z0-9]+)[.-]/.exec(firstHost)?.[1]
      if (label !== undefined) expect(served).toBe(label)
    },
  }))

/** Sends bytes and gives what comes back until the connection closes. */
async function exchange(request: string): Promise<string> {
  const socket = connect(edge.port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
  socket.on('error', () => {})
  // What isn't a whole head yet waits for more; the end tells that none comes.
  socket.end(request, 'latin1')
  try {
    await within(5000, once(socket, 'close'))
  } finally {
    socket.destroy()
  }
  return answer
}
