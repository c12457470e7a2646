/** Bodies that are more than they look like, or not what they say: refused, with the server as well as before. */
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ask, routeTo } from './support/ask.ts'
import { attacked, attackersSandbox } from './support/attacked.ts'

const { pid, attacker, attackerKey } = attacked()
const envd = { ...routeTo(attacker.id), 'x-access-token': attacker.token }
const json = { ...envd, 'content-type': 'application/json' }
const key = { 'x-api-key': attackerKey, 'content-type': 'application/json' }
/** What the server's first process may grow by under one of them, in bytes. */
const growthMax = 400 * 1024 * 1024

const memory = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
let before: number
beforeAll(() => {
  before = memory()
})
afterEach(async () => {
  expect((await ask('GET /health')).status).toBe(200)
  expect(memory() - before).toBeLessThan(growthMax)
})

const zeros = (megabytes: number) => gzipSync(Buffer.alloc(megabytes << 20))
const enveloped = (flags: number, message: Buffer) => {
  const head = Buffer.alloc(5)
  head[0] = flags
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`

describe('to envd', () => {
  test.each<[string, string, Record<string, string>, string | Buffer]>([
    [
      'gzip of 200 MB in an RPC',
      '/process.Process/List',
      { ...json, 'content-encoding': 'gzip' },
      zeros(200),
    ],
    [
      'gzip of 200 MB in a stream',
      '/process.Process/Start',
      { ...envd, 'content-type': 'application/connect+json', 'connect-content-encoding': 'gzip' },
      enveloped(1, zeros(200)),
    ],
    ['gzip of 100 MB for compose', '/files/compose', { ...json, 'content-encoding': 'gzip' }, zeros(100)],
    [
      'gzip that isn’t',
      '/process.Process/List',
      { ...json, 'content-encoding': 'gzip' },
      Buffer.from('no gzip at all'),
    ],
    ['an unknown coding', '/process.Process/List', { ...json, 'content-encoding': 'br' }, '{}'],
    [
      'a message that says 4 GiB',
      '/process.Process/Start',
      { ...envd, 'content-type': 'application/connect+json' },
      Buffer.from([0, 0xff, 0xff, 0xff, 0xff]),
    ],
    ['JSON of a million levels', '/process.Process/List', json, deep(1_000_000)],
    ['an array of a million levels', '/filesystem.Filesystem/Stat', json, '['.repeat(1_000_000)],
    [
      'protobuf that ends early',
      '/filesystem.Filesystem/Stat',
      { ...envd, 'content-type': 'application/proto' },
      Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x0f]),
    ],
    ['a path with a NUL', '/filesystem.Filesystem/Stat', json, '{"path":"/etc\\u0000/passwd"}'],
    ['half a surrogate', '/filesystem.Filesystem/Stat', json, '{"path":"/\\ud800"}'],
    ['a path of 100,000 letters', '/filesystem.Filesystem/Stat', json, `{"path":"/${'a'.repeat(100_000)}"}`],
    ['a number for a path', '/filesystem.Filesystem/Stat', json, '{"path":1}'],
    ['bytes that aren’t UTF-8', '/filesystem.Filesystem/Stat', json, Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    [
      'a prototype for a path',
      '/filesystem.Filesystem/Stat',
      json,
      '{"__proto__":{"path":"/etc"},"path":"/nothing-such"}',
    ],
  ])('%s', async (_name, path, headers, body) => {
    const { status, text } = await ask(`POST ${path}`, { headers, body })
    // Streams of Connect say their errors in the last message of a 200; fields that nobody knows may be of any depth.
    if (status === 200) expect(text).toMatch(/"error"|^\{\}$/)
    else expect(status, text).toBeGreaterThanOrEqual(400)
    expect(text).not.toMatch(/node_modules|\n {4}at /)
  })

  test.each(['root\0', '0', '-1', 'root\nroot', '../root', 'root:x', 'nobody-such', ' root', '$(id)'])(
    'a file as user %j',
    async (username) => {
      const path = `/files?path=x&username=${encodeURIComponent(username)}`
      const { status } = await ask(`GET ${path}`, { headers: envd })
      expect([400, 401, 404]).toContain(status)
    },
  )

  const form = (body: string) => ({
    headers: { ...envd, 'content-type': 'multipart/form-data; boundary=b' },
    body: Buffer.from(body, 'latin1'),
  })
  test.each<[string, string]>([
    [
      '150,000 parts',
      `${'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n'.repeat(150_000)}--b--\r\n`,
    ],
    ['a name without an end', `--b\r\nContent-Disposition: form-data; name="${'a'.repeat(1_000_000)}`],
    ['a part without an end', '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nabc'],
    ['no part', '--b--\r\n'],
    ['100,000 headers of a part', `--b\r\n${'X-A: b\r\n'.repeat(100_000)}\r\n\r\n--b--\r\n`],
  ])('a form of %s', async (_name, body) => {
    const { status } = await ask('POST /files?path=form', form(body))
    expect(status).toBeGreaterThanOrEqual(400)
  })

  test.each(['../../../../etc/cron.d/x', '..', '/etc/passwd/x', 'a\0b'])(
    'an uploaded file named %j stays in the sandbox',
    async (filename) => {
      const head = `--b\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\n\r\n`
      await ask('POST /files', form(`${head}x\r\n--b--\r\n`))
      expect((await (await attackersSandbox()).commands.run('echo well')).stdout).toBe('well\n')
    },
  )
})

describe('to the API', () => {
  test.each<[string, string]>([
    ['JSON of a million levels', deep(1_000_000)],
    ['metadata of a million levels', `{"templateID":"base","metadata":${deep(100_000)}}`],
    ['a prototype with a template', '{"__proto__":{"templateID":"base"}}'],
    ['a constructor with a template', '{"constructor":{"prototype":{"templateID":"base"}}}'],
    ['20 MB of spaces', ' '.repeat(20 << 20)],
    ['a name of 20 MB', `{"templateID":"${'a'.repeat(20 << 20)}"}`],
    [
      '100,000 variables',
      `{"templateID":"base","envVars":{${Array.from({ length: 100_000 }, (_, i) => `"a${i}":1`).join()}}}`,
    ],
  ])('%s', async (_name, body) => {
    const answer = await ask('POST /sandboxes', { headers: key, body })
    expect(answer.status, answer.text.slice(0, 300)).toBeGreaterThanOrEqual(400)
    expect(answer.status, answer.text.slice(0, 300)).toBeLessThan(500)
  })
})
