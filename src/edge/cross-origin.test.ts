import { afterEach, beforeEach, expect, test } from 'vitest'
import { type EdgeFixture, startEdge } from './edge.fixture.ts'

const origin = 'https://app.example'
const preflight = { origin, 'access-control-request-method': 'POST' }

let edge: EdgeFixture
let woken: string[]
beforeEach(async () => {
  woken = []
  edge = await startEdge('stream', {
    wake: async (id) => {
      woken.push(id)
      return undefined
    },
  })
})
afterEach(() => edge[Symbol.asyncDispose]())

test('a preflight for envd is answered whether its sandbox is there or not, and wakes none', async () => {
  for (const id of ['isandbox', 'i0123456789abcdefghij']) {
    const answer = await edge.send(49_983, { id, method: 'OPTIONS', headers: preflight })
    expect(answer.status).toBe(204)
    expect(answer.headers['access-control-allow-origin']).toBe('*')
  }
  expect(woken).toEqual([])
})

test('refusals of the edge can be read by scripts', async () => {
  const gone = await edge.send(49_983, { id: 'i0123456789abcdefghij', headers: { origin } })
  expect(gone.status).toBe(502)
  expect(gone.headers['access-control-allow-origin']).toBe('*')
  const closed = await edge.send(1, { headers: { origin } })
  expect(closed.status).toBe(502)
  expect(closed.headers['access-control-allow-origin']).toBe('*')
})

test("a preflight for another port is its server's to answer, and so is its path", async () => {
  const port = await edge.serve((req, res) => res.writeHead(405).end(`${req.method} ${req.url}`))
  const answer = await edge.send(port, { method: 'OPTIONS', path: '//a//b', headers: preflight })
  expect(answer).toMatchObject({ status: 405, body: 'OPTIONS //a//b' })
  expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
})

test("slashes in front of envd's paths are one, also of those that are reserved", async () => {
  edge.addSandbox('iecho', (req, res) => void res.end(req.url))
  expect(await edge.send(49_983, { id: 'iecho', path: '//files?path=//a' })).toMatchObject({
    body: '/files?path=//a',
  })
  expect(await edge.send(49_983, { id: 'iecho', path: '//init' })).toMatchObject({ status: 404 })
})
