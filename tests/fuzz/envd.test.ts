/** envd over HTTP, through the whole server down to a real agent: RPCs and files, well-formed and not. */
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bytes, type Mutation, mutate, mutation } from './support/bytes.ts'
import { fuzz } from './support/fuzz.ts'
import { type Answer, expectErrorBody, type FuzzSandbox, startFuzzSandbox } from './support/sandbox.ts'

let envd: FuzzSandbox
/** A file whose bytes tell their own place. */
const known = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 251))
beforeAll(async () => {
  envd = await startFuzzSandbox()
  await envd.sandbox.files.write('/home/user/known', new Blob([known]))
})
afterAll(() => envd[Symbol.asyncDispose]())

const streams = ['process.Process/Start', 'process.Process/Connect', 'filesystem.Filesystem/WatchDir']
const unaries = [
  ...['List', 'Update', 'SendInput', 'SendSignal', 'CloseStdin'].map((method) => `process.Process/${method}`),
  ...[
    'Stat',
    'MakeDir',
    'Move',
    'ListDir',
    'Remove',
    'CreateWatcher',
    'GetWatcherEvents',
    'RemoveWatcher',
  ].map((method) => `filesystem.Filesystem/${method}`),
]
const clientStreams = ['process.Process/StreamInput']

/** Where writing, moving and removing does no harm that the next check would see. */
const path = fc.oneof(
  fc.constantFrom(
    '~/x',
    '~root/x',
    'f',
    '/tmp/f',
    '/tmp/d/e',
    '/tmp/a/../b',
    'a/./b',
    '/proc/none/x',
    '/dev/full/x',
  ),
  fc.string({ maxLength: 12, unit: 'grapheme' }).map((text) => `/tmp/${text.replaceAll('..', '')}`),
  fc.constant(`/tmp/${'x'.repeat(300)}`),
)
/** And what is only looked at. */
const anyPath = fc.oneof(
  path,
  fc.constantFrom('', '~', '.', '/', '/dev/null', '/dev/zero', '/proc/self', '/proc/1/maps', '\0'),
)
const integer = fc.oneof(fc.constantFrom(0, 1, 2, -1, 65_536, 2 ** 31, 2 ** 32, 1.5), fc.integer())
const selector = fc.oneof(
  integer.map((pid) => ({ pid })),
  fc.string({ maxLength: 8 }).map((tag) => ({ tag })),
  fc.constant({}),
)
const input = fc.oneof(
  fc.base64String({ maxLength: 40 }).map((stdin) => ({ stdin })),
  fc.base64String({ maxLength: 40 }).map((pty) => ({ pty })),
  fc.constant({}),
)
const size = fc.record({ cols: integer, rows: integer })

/** A message with fields that some RPC knows, of the right type or of another. */
const message = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record(
      {
        path,
        source: path,
        destination: path,
        depth: integer,
        recursive: fc.boolean(),
        includeEntry: fc.boolean(),
        watcherId: fc.string({ maxLength: 10 }),
        process: fc.oneof(
          selector,
          fc.record({
            cmd: fc.constantFrom('true', 'echo', '/bin/echo', '', 'none', '/tmp', '\0', './x'),
            args: fc.array(fc.string({ maxLength: 6 }), { maxLength: 3 }),
            envs: fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 3 }),
            cwd: path,
          }),
        ),
        tag: fc.string({ maxLength: 8 }),
        stdin: fc.boolean(),
        pty: fc.record({ size }),
        input,
        signal: fc.constantFrom('SIGNAL_SIGKILL', 'SIGNAL_SIGTERM', 'SIGNAL_UNSPECIFIED', 'SIGHUP', 9, 77),
        start: fc.record({ process: selector }),
        data: fc.record({ input }),
        keepalive: fc.constant({}),
      },
      { requiredKeys: [] },
    ),
  },
  fc.jsonValue({ maxDepth: 2 }),
)

const envelope = fc
  .tuple(fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.nat({ max: 255 })), message)
  .map(([flags, value]) => {
    const json = Buffer.from(JSON.stringify(value))
    const head = Buffer.alloc(5)
    head.writeUInt8(flags, 0)
    head.writeUInt32BE(json.length, 1)
    return Buffer.concat([head, json])
  })

const latin1 = fc.string({ maxLength: 12 }).filter((text) => /^[\x20-\x7e]*$/.test(text))
const mutations = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Mutation[]>([]) },
  fc.array(mutation, { maxLength: 2 }),
)

const rpcHeaders = fc.record(
  {
    'connect-protocol-version': fc.constantFrom('1', '2', ''),
    'keepalive-ping-interval': fc.oneof(fc.constantFrom('1', '0', '-1', '1e9'), latin1),
    authorization: fc.oneof(
      fc.constantFrom('Basic cm9vdDo=', 'Basic bm9ib2R5LWhlcmU6', 'Basic %%', 'Bearer x'),
      latin1,
    ),
    'accept-encoding': fc.constantFrom('gzip', 'br', 'identity;q=0'),
    'connect-accept-encoding': fc.constantFrom('gzip', 'br', ''),
    'content-encoding': fc.constantFrom('gzip', 'identity', 'zstd'),
    'connect-content-encoding': fc.constantFrom('gzip', 'identity', 'x'),
  },
  { requiredKeys: [] },
)

const rpc = fc.oneof(
  fc.record({
    method: fc.constantFrom(...streams, ...clientStreams),
    type: fc.constantFrom(
      'application/connect+json',
      'application/connect+json',
      'application/connect+proto',
    ),
    body: fc.array(envelope, { maxLength: 3 }).map((list) => Buffer.concat(list)),
    mutations,
    headers: rpcHeaders,
    timeoutMs: fc.integer({ min: 1, max: 300 }),
  }),
  fc.record({
    method: fc.constantFrom(...unaries, ...streams),
    type: fc.constantFrom('application/json', 'application/json', 'application/proto', 'text/plain', ''),
    body: fc.oneof(
      message.map((value) => Buffer.from(JSON.stringify(value))),
      bytes(60),
    ),
    mutations,
    headers: rpcHeaders,
    timeoutMs: fc.integer({ min: 1, max: 300 }),
  }),
)

/** What an operation may answer as `internal`, being the protocol's own words for it (e2b-wire 3.2). */
const expectedInternal = /stdin not enabled or closed/

test('rpcs: an answer in the protocol’s terms to everything, and nothing internal', async () => {
  await fuzz({
    name: 'rpcs',
    input: rpc,
    async check({ method, type, body, mutations: changes, headers, timeoutMs }) {
      const answer = await envd.ask({
        method: 'POST',
        path: `/${method}`,
        headers: { 'content-type': type, 'connect-timeout-ms': String(timeoutMs), ...headers },
        body: mutate(body, changes),
      })
      if (answer.status !== 200) {
        const { message: text } = expectErrorBody(answer)
        if (answer.status === 500) expect(text).toMatch(expectedInternal)
      } else if (answer.headers['content-type']?.startsWith('application/connect+')) {
        expectStream(answer)
      }
    },
  })
  await envd.expectHealthy()
}, 120_000)

/** A whole stream is envelopes and one last of the end; its error is none of the server's own. */
function expectStream({ body, isWhole }: Answer): void {
  let at = 0
  let end: string | undefined
  while (at + 5 <= body.length) {
    const flags = body.readUInt8(at)
    const length = body.readUInt32BE(at + 1)
    expect([0, 1, 2, 3]).toContain(flags)
    expect(end, 'an envelope after the end').toBeUndefined()
    if ((flags & 2) !== 0) end = body.subarray(at + 5, at + 5 + length).toString('latin1')
    at += 5 + length
  }
  if (!isWhole) return
  expect(at, 'bytes after the last envelope').toBe(body.length)
  expect(end, 'no end of the stream').toBeDefined()
  if (!end!.startsWith('{')) return
  const { error } = JSON.parse(end!) as { error?: { code: string; message?: string } }
  if (error?.code === 'internal' || error?.code === 'unknown') expect(error.message).toMatch(expectedInternal)
}

const fileHeaders = fc.record(
  {
    range: fc.oneof(
      fc.tuple(fc.nat({ max: 1100 }), fc.nat({ max: 1100 })).map(([first, last]) => `bytes=${first}-${last}`),
      fc.constantFrom('bytes=-5', 'bytes=5-', 'bytes=999-', 'bytes=1000-', 'bytes=0-0,1-1', 'bytes=-0'),
      latin1,
    ),
    'if-none-match': fc.oneof(fc.constantFrom('*', '"x"', 'W/"x"'), latin1),
    'if-modified-since': fc.oneof(fc.constantFrom('Thu, 01 Jan 2099 00:00:00 GMT'), latin1),
    'if-range': fc.oneof(fc.constantFrom('"x"'), latin1),
    'accept-encoding': fc.oneof(
      fc.constantFrom('gzip', 'br', 'identity;q=0', '*;q=0', 'gzip;q=0.5, *'),
      latin1,
    ),
    'content-encoding': fc.oneof(fc.constantFrom('gzip', 'br', 'identity'), latin1),
    'x-metadata-a': latin1,
    'x-metadata-': latin1,
    'x-metadata-long': fc.constant('x'.repeat(5000)),
  },
  { requiredKeys: [] },
)

const upload = fc.oneof(
  fc.record({ type: fc.constant('application/octet-stream'), body: bytes(300) }),
  fc.record({
    type: fc.constant('application/octet-stream'),
    body: bytes(300).map((content) => gzipSync(content)),
  }),
  fc.record({
    type: fc.constant('multipart/form-data; boundary=b'),
    body: fc
      .tuple(path, bytes(100))
      .map(([name, content]) =>
        Buffer.concat([
          Buffer.from(`--b\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n`),
          content,
          Buffer.from('\r\n--b--\r\n'),
        ]),
      ),
  }),
  fc.record({ type: latin1, body: bytes(100) }),
)

const file = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'POST', 'PUT', 'DELETE', 'OPTIONS'),
  query: fc.record(
    {
      path: fc.oneof(fc.constant('/home/user/known'), fc.constant('known'), anyPath),
      username: fc.oneof(fc.constantFrom('root', 'user', 'nobody-here', ''), latin1),
      signature: latin1,
      signature_expiration: latin1,
    },
    { requiredKeys: [] },
  ),
  headers: fileHeaders,
  upload,
  mutations,
})

const statuses = [200, 204, 206, 304, 400, 401, 404, 405, 406, 412, 413, 415, 416, 429, 507]

test('files: every answer is one that is documented, and a part is the part that it says', async () => {
  await fuzz({
    name: 'files',
    input: file,
    async check({ method, query, headers, upload: { type, body }, mutations: changes }) {
      const writes = method === 'POST'
      // What is compared below stays as it is.
      const target = writes && query.path?.endsWith('known') ? { ...query, path: '/tmp/other' } : query
      const answer = await envd.ask({
        method,
        path: `/files?${new URLSearchParams(target)}`,
        headers: { ...headers, ...(writes && { 'content-type': type }) },
        ...(writes && { body: mutate(body, changes) }),
      })
      expect(statuses, answer.body.toString('latin1', 0, 500)).toContain(answer.status)
      if (answer.status >= 400 && method !== 'HEAD') expectErrorBody(answer)
      if (method === 'GET' && query.path?.endsWith('known')) expectPart(answer)
    },
  })
  await envd.expectHealthy()
}, 120_000)

function expectPart({ status, headers, body }: Answer): void {
  if (status === 200 && headers['content-encoding'] === undefined) expect(body.equals(known)).toBe(true)
  if (status !== 206) return
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '') ?? []
  expect(Number(total)).toBe(known.length)
  expect(body.equals(known.subarray(Number(first), Number(last) + 1))).toBe(true)
  expect(headers['content-length']).toBe(String(body.length))
}
