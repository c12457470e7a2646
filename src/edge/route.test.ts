import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Route, type RouteInput, routeOf } from './route.ts'

const domain = 'e2b.example.com'
const api: Route = { kind: 'api' }
const to = (sandboxId: string, port: number): Route => ({ kind: 'sandbox', sandboxId, port })
const badId: Route = { kind: 'error', status: 400, message: 'Invalid sandbox ID' }
const badHost: Route = { kind: 'error', status: 400, message: 'Invalid host' }
const badPort = { kind: 'error', status: 400, message: expect.stringContaining('Invalid port') }
const missing = (name: string) => ({
  kind: 'error',
  status: 400,
  message: expect.stringContaining(`missing header ${name}`),
})

const input = (host: string | undefined, id?: string, port?: string): RouteInput => ({
  host,
  sandboxIdHeader: id,
  sandboxPortHeader: port,
})

test.each<[string | undefined, unknown]>([
  // By name
  ['49983-iabc.e2b.example.com', to('iabc', 49983)],
  ['3000-iabc.localhost', to('iabc', 3000)],
  ['3000-iabc.localhost:3000', to('iabc', 3000)],
  ['3000-iabc.localhost:', to('iabc', 3000)],
  ['3000-iabc.e2b.example.com.', to('iabc', 3000)],
  ['3000-IABC.E2B.Example.COM', to('iabc', 3000)],
  ['3000-iabc.elsewhere.net', to('iabc', 3000)],
  ['3000-iabc-client1.e2b.example.com', to('iabc', 3000)],
  ['3000-iabc-a-b-c.e2b.example.com', to('iabc', 3000)],
  ['3000-iabc-.e2b.example.com', to('iabc', 3000)],
  ['1-0.x', to('0', 1)],
  ['65535-iabc.x', to('iabc', 65535)],
  // By name, wrongly
  ['0-iabc.x', badPort],
  ['65536-iabc.x', badPort],
  ['080-iabc.x', badPort],
  ['123456789012345678901-iabc.x', badPort],
  ['3000-.x', badId],
  ['3000--iabc.x', badId],
  ['3000-i_abc.x', badId],
  [`3000-${'i'.repeat(64)}.x`, badId],
  ['3000-iabc', badHost],
  ['3000-', badHost],
  ['http-iabc.e2b.example.com', badPort],
  ['-iabc.e2b.example.com', badPort],
  ['iabc-3000.E2B.example.com:443', badPort],
  // The API's
  [undefined, api],
  ['', api],
  ['localhost', api],
  ['localhost:3000', api],
  ['127.0.0.1:3000', api],
  ['[::1]:3000', api],
  ['api.e2b.example.com', api],
  ['e2b.example.com', api],
  ['sandbox.e2b.example.com', api],
  ['my-server.example.com', api],
  ['80a-iabc.x', api],
  ['3000.iabc.x', api],
  ['-3000-iabc.x', api],
  // Malformed
  ['3000-iabc.x:70x', api],
  ['3000-iabc.x:123456', api],
  ['3000-iabc.x/path', api],
  ['3000-iabc .x', api],
  ['3000-iabc.x@y', api],
  ['3000-ïabc.x', api],
  ['[3000-iabc.x]', api],
  [':3000', api],
  ['.', api],
  ['a'.repeat(300), api],
])('host %j', (host, expected) => {
  expect(routeOf(input(host), { domain })).toEqual(expected)
})

test.each<[string, string | undefined, string | undefined, unknown]>([
  ['localhost', 'iabc', '49983', to('iabc', 49983)],
  ['localhost:3000', 'iabc', '49983', to('iabc', 49983)],
  ['LOCALHOST', 'iabc', '49983', to('iabc', 49983)],
  ['10.0.0.7', 'iabc', '80', to('iabc', 80)],
  ['10.0.0.7:8080', 'iabc', '80', to('iabc', 80)],
  ['[::1]', 'iabc', '80', to('iabc', 80)],
  ['[FE80::1]:3000', 'iabc', '80', to('iabc', 80)],
  ['[::ffff:10.0.0.7]:3000', 'iabc', '80', to('iabc', 80)],
  ['sandbox.e2b.example.com', 'iabc', '80', to('iabc', 80)],
  ['sandbox.anything', 'iabc', '80', to('iabc', 80)],
  ['localhost', 'iabc', undefined, missing('E2b-Sandbox-Port')],
  ['localhost', undefined, '80', missing('E2b-Sandbox-Id')],
  ['localhost', 'iabc', '', missing('E2b-Sandbox-Port')],
  ['localhost', '', '', api],
  ['localhost', 'IABC', '80', badId],
  ['localhost', 'i-abc', '80', badId],
  ['localhost', 'i_abc', '80', badId],
  ['localhost', 'iabc, iabc', '80', badId],
  ['localhost', 'i'.repeat(63), '80', to('i'.repeat(63), 80)],
  ['localhost', 'i'.repeat(64), '80', badId],
  ['localhost', 'iabc\n', '80', badId],
  ['localhost', 'iabc', '0', badPort],
  ['localhost', 'iabc', '080', badPort],
  ['localhost', 'iabc', '+80', badPort],
  ['localhost', 'iabc', '80 ', badPort],
  ['localhost', 'iabc', '8e1', badPort],
  ['localhost', 'iabc', '0x50', badPort],
  ['localhost', 'iabc', '65536', badPort],
  ['localhost', 'iabc', '-1', badPort],
  // Hosts that headers mean nothing to
  ['api.e2b.example.com', 'iabc', '80', api],
  ['e2b.example.com', 'iabc', '80', api],
  ['localhost.example.com', 'iabc', '80', api],
  ['sandbox', 'iabc', '80', api],
  ['999.0.0.1', 'iabc', '80', api],
  ['[::zz]', 'iabc', '80', api],
  // A name wins over headers, and so does a wrong one
  ['3000-imine.e2b.example.com', 'iother', '80', to('imine', 3000)],
  ['3000-imine.localhost', 'iother', '80', to('imine', 3000)],
  ['0-imine.localhost', 'iother', '80', badPort],
])('host %j with headers %j %j', (host, id, port, expected) => {
  expect(routeOf(input(host, id, port), { domain })).toEqual(expected)
})

test.each<[string | undefined, string, string, string, unknown]>([
  ['localhost:3000', 'iabc', '49983', '/sandboxes/iabc/connect', api],
  ['10.0.0.7', 'iabc', '49983', '/sandboxes/iother/connect', api],
  ['localhost', 'iabc', '49983', '/sandboxes/iabc/connect?x', to('iabc', 49983)],
  ['localhost', 'iabc', '49983', '/sandboxes/iabc/connect/', to('iabc', 49983)],
  ['localhost', 'iabc', '49983', '/sandboxes/a/b/connect', to('iabc', 49983)],
  ['localhost', 'iabc', '49983', '/sandboxes/iabc', to('iabc', 49983)],
  ['localhost', 'iabc', '3000', '/sandboxes/iabc/connect', to('iabc', 3000)],
  ['49983-iabc.localhost', 'iabc', '49983', '/sandboxes/iabc/connect', to('iabc', 49983)],
])(
  'old Python SDKs connect with routing headers: %j, headers %j %j, %s',
  (host, id, port, target, expected) => {
    expect(routeOf({ ...input(host, id, port), target }, { domain })).toEqual(expected)
  },
)

test("the server's own name is the API's even where it looks like a sandbox's", () => {
  const own = { domain: '10-0-0-7.nip.io' }
  expect(routeOf(input('10-0-0-7.nip.io:3000'), own)).toEqual(api)
  expect(routeOf(input('api.10-0-0-7.nip.io'), own)).toEqual(api)
  expect(routeOf(input('80-iabc.10-0-0-7.nip.io'), own)).toEqual(to('iabc', 80))
  expect(routeOf(input('10-0-0-7.nip.io'))).toEqual(to('0', 10))
})

test("the server's own name is the API's even where headers would count", () => {
  const own = { domain: 'sandbox.example.com' }
  expect(routeOf(input('sandbox.example.com', 'iabc', '80'), own)).toEqual(api)
  expect(routeOf(input('sandbox.sandbox.example.com', 'iabc', '80'), own)).toEqual(to('iabc', 80))
})

test('more than one host is none', () => {
  expect(routeOf({ ...input('3000-iabc.x'), hasManyHosts: true }, { domain })).toEqual(badHost)
})

const text = fc.oneof(
  fc.string({ maxLength: 80 }),
  fc.string({ maxLength: 80, unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        '3000',
        '0',
        '-',
        '.',
        ':',
        '[',
        ']',
        'iabc',
        'sandbox',
        'localhost',
        '127.0.0.1',
        'A',
        ' ',
      ),
    )
    .map((parts) => parts.join('')),
)
const header = fc.option(text, { nil: undefined })

test('any input has a route, and a sandbox is only ever the one that was named', () => {
  fc.assert(
    fc.property(header, header, header, (host, id, port) => {
      const route = routeOf(input(host, id, port), { domain })
      expect(['api', 'sandbox', 'error']).toContain(route.kind)
      if (route.kind !== 'sandbox') return
      expect(route.sandboxId).toMatch(/^[a-z0-9]{1,63}$/)
      expect(route.port).toBeGreaterThanOrEqual(1)
      expect(route.port).toBeLessThanOrEqual(65_535)
      const inName = host?.toLowerCase().startsWith(`${route.port}-${route.sandboxId}`) ?? false
      const inHeaders = id === route.sandboxId && port === String(route.port)
      expect(inName || inHeaders).toBe(true)
    }),
    { numRuns: 5000 },
  )
})

test('every well-formed name reaches its sandbox, whatever the headers say', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 65_535 }),
      fc.stringMatching(/^[a-z0-9]{1,40}$/),
      header,
      header,
      (port, id, idHeader, portHeader) => {
        const route = routeOf(input(`${port}-${id}.${domain}`, idHeader, portHeader), { domain })
        expect(route).toEqual(to(id, port))
      },
    ),
  )
})
