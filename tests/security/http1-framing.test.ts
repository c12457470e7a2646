/**
 * Requests over HTTP/1.1 that two readers would take apart differently, to the API, to envd and to a port inside. What
 * an attacker hides in them must not become a request of its own: neither here nor at the server inside.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { attacked, recorderPort } from './support/attacked.ts'
import { type Outcome, sendRaw } from './support/raw.ts'

interface Shape {
  name: string
  /** The request after its first line and the lines that route it; `hidden`: the request to be smuggled */
  rest: (hidden: string) => string
  /** Whether it may be served; as one request then */
  isServed?: boolean
  method?: string
  version?: string
}

const chunked = 'Transfer-Encoding: chunked\r\n'
const lengthOf = (text: string, more = 0) => `Content-Length: ${text.length + more}\r\n`

const shapes: Shape[] = [
  { name: 'a length and chunks', rest: (h) => `${lengthOf(h, 5)}${chunked}\r\n0\r\n\r\n${h}` },
  { name: 'chunks and a length', rest: (h) => `${chunked}${lengthOf(h, 5)}\r\n0\r\n\r\n${h}` },
  { name: 'two lengths that differ', rest: (h) => `Content-Length: 0\r\n${lengthOf(h)}\r\n${h}` },
  { name: 'two lengths that are the same', rest: (h) => `${lengthOf(h)}${lengthOf(h)}\r\n${h}` },
  { name: 'a list of lengths', rest: (h) => `Content-Length: 0, ${h.length}\r\n\r\n${h}` },
  { name: 'a negative length', rest: (h) => `Content-Length: -1\r\n\r\n${h}` },
  { name: 'a length with a plus', rest: (h) => `Content-Length: +${h.length}\r\n\r\n${h}` },
  { name: 'a hexadecimal length', rest: (h) => `Content-Length: 0x10\r\n\r\n${h}` },
  { name: 'a length with a space inside', rest: (h) => `Content-Length: 1 0\r\n\r\n${h}` },
  { name: 'a length beyond 64 bits', rest: (h) => `Content-Length: 18446744073709551616\r\n\r\n${h}` },
  { name: 'a length of no number', rest: (h) => `Content-Length: many\r\n\r\n${h}` },
  {
    name: 'a coding before chunks',
    rest: (h) => `Transfer-Encoding: gzip, chunked\r\n\r\n${h.length.toString(16)}\r\n${h}\r\n0\r\n\r\n`,
    isServed: true,
  },
  { name: 'a coding after chunks', rest: (h) => `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${h}` },
  { name: 'chunks twice', rest: (h) => `${chunked}${chunked}\r\n0\r\n\r\n${h}`, isServed: true },
  { name: 'an unknown coding', rest: (h) => `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${h}` },
  { name: 'a coding in quotes', rest: (h) => `Transfer-Encoding: "chunked"\r\n${lengthOf(h)}\r\n${h}` },
  { name: 'a space before the colon', rest: (h) => `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${h}` },
  { name: 'a tab before the colon', rest: (h) => `Content-Length\t: ${h.length}\r\n\r\n${h}` },
  { name: 'a folded line', rest: (h) => `Transfer-Encoding:\r\n chunked\r\n${lengthOf(h)}\r\n${h}` },
  { name: 'a folded first line', rest: (h) => ` Folded: yes\r\n${lengthOf(h)}\r\n${h}` },
  {
    name: 'a bare CR in a value',
    rest: (h) => `X-A: b\rTransfer-Encoding: chunked\r\n${lengthOf(h)}\r\n${h}`,
  },
  {
    name: 'a bare LF at a line’s end',
    rest: (h) => `X-A: b\nTransfer-Encoding: chunked\r\n${lengthOf(h)}\r\n${h}`,
  },
  { name: 'a NUL in a value', rest: (h) => `X-A: b\0c\r\n${lengthOf(h)}\r\n${h}` },
  { name: 'a NUL in a name', rest: (h) => `X\0A: b\r\n${lengthOf(h)}\r\n${h}` },
  { name: 'a name with a space', rest: (h) => `X A: b\r\n${lengthOf(h)}\r\n${h}` },
  { name: 'a line without a colon', rest: (h) => `Strange\r\n${lengthOf(h)}\r\n${h}` },
  { name: 'a chunk of no size', rest: (h) => `${chunked}\r\nZ\r\n${h}\r\n0\r\n\r\n` },
  { name: 'a chunk of a negative size', rest: (h) => `${chunked}\r\n-1\r\n${h}\r\n0\r\n\r\n` },
  { name: 'a chunk beyond 64 bits', rest: (h) => `${chunked}\r\n10000000000000000\r\n${h}` },
  { name: 'a chunk that is longer than its size', rest: (h) => `${chunked}\r\n1\r\n${h}\r\n0\r\n\r\n` },
  { name: 'a chunk’s line with a bare LF', rest: (h) => `${chunked}\r\n1\nx\r\n0\r\n\r\n${h}` },
  {
    name: 'trailers that name a length',
    rest: (h) => `${chunked}\r\n0\r\n${lengthOf(h)}\r\n${''}`,
    isServed: true,
  },
  {
    name: 'an upgrade to h2c with a body',
    rest: (h) =>
      `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n${lengthOf(h)}\r\n${h}`,
    isServed: true,
  },
  {
    name: 'an upgrade to a WebSocket with a body',
    rest: (h) => `Connection: Upgrade\r\nUpgrade: websocket\r\n${lengthOf(h)}\r\n${h}`,
    isServed: true,
  },
  { name: 'a body by length on a GET', method: 'GET', rest: (h) => `${lengthOf(h)}\r\n${h}`, isServed: true },
  {
    name: 'a length that the connection is told to forget',
    rest: (h) => `Connection: Content-Length\r\n${lengthOf(h)}\r\n${h}`,
    isServed: true,
  },
  {
    name: 'chunks that the connection is told to forget',
    rest: (h) =>
      `Connection: Transfer-Encoding\r\n${chunked}\r\n${h.length.toString(16)}\r\n${h}\r\n0\r\n\r\n`,
    isServed: true,
  },
  { name: 'chunks in HTTP/1.0', version: '1.0', rest: (h) => `${chunked}\r\n0\r\n\r\n${h}`, isServed: true },
  { name: 'a version that isn’t there', version: '1.9', rest: (h) => `${lengthOf(h)}\r\n${h}` },
  { name: 'a version of three numbers', version: '1.1.1', rest: (h) => `${lengthOf(h)}\r\n${h}` },
]

interface Target {
  name: string
  path: string
  lines: () => string[]
}

const routed = (port: number) => {
  const { victim } = attacked()
  return [`E2b-Sandbox-Id: ${victim.id}`, `E2b-Sandbox-Port: ${port}`, `X-Access-Token: ${victim.token}`]
}
const targets: Target[] = [
  { name: 'the API', path: '/sandboxes/inone/timeout', lines: () => [`X-API-Key: ${attacked().victimKey}`] },
  { name: 'envd', path: '/process.Process/List', lines: () => routed(49983) },
  { name: 'a port', path: '/attempt', lines: () => routed(recorderPort) },
]

/** All of them at once, as most of the time goes into waiting for what must not come. */
const outcomes = new Map<string, Outcome>()
let recorded: string[]
beforeAll(async () => {
  const attempts = targets.flatMap((target, t) =>
    shapes.map((shape, s) => ({ key: `${t}-${s}`, target, shape })),
  )
  const lanes = Array.from({ length: 12 }, async () => {
    for (let next = attempts.pop(); next !== undefined; next = attempts.pop()) {
      outcomes.set(next.key, await sendRaw(requestOf(next)))
    }
  })
  await Promise.all(lanes)
  const headers = Object.fromEntries(routed(recorderPort).map((line) => line.split(': ')))
  recorded = (await (await fetch(`${attacked().url}/recorded`, { headers })).json()) as string[]
})

function requestOf({ key, target, shape }: { key: string; target: Target; shape: Shape }): string {
  const { method = 'POST', version = '1.1', rest } = shape
  const host = new URL(attacked().url).host
  const hidden = `GET /smuggled-${key} HTTP/1.1\r\nHost: ${host}\r\n${target.lines().join('\r\n')}\r\n\r\n`
  const head = [`${method} ${target.path}-${key} HTTP/${version}`, `Host: ${host}`, ...target.lines()]
  return `${head.join('\r\n')}\r\n${rest(hidden)}`
}

describe.each(targets.map((target, t) => ({ ...target, t })))('to $name', ({ t }) => {
  test.each(shapes.map((shape, s) => ({ ...shape, s })))('$name', ({ s, isServed = false }) => {
    const outcome = outcomes.get(`${t}-${s}`)!
    expect(outcome.statuses.length, outcome.text).toBeLessThanOrEqual(1)
    if (!isServed)
      for (const status of outcome.statuses) expect(status, outcome.text).toBeGreaterThanOrEqual(400)
    expect(recorded.filter((line) => line.includes(`/smuggled-${t}-${s} `))).toEqual([])
  })
})
