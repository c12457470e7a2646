/** The gateway's own process: starts the servers it is told, tells whether it could, and serves them as one. */
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { createFront } from './front.mjs'
import { startUpstream } from './upstreams.mjs'

const port = 50005
const bodyMaxBytes = 16 * 1024 * 1024
const sessionsMax = 200

/** Sessions of clients, the one that was used longest ago first. */
const sessions = new Map()

process.once('message', async ({ plan, token, isResumed = false }) => {
  const frontOf = againAfterFailure(() => begin(plan))
  try {
    if (!isResumed) await frontOf()
    await listen(frontOf, token)
    process.send({ ready: true })
  } catch (error) {
    console.error(error)
    return process.send({ error: error.message }, () => process.exit(1))
  }
  // What fails now is tried again for the next client.
  await frontOf().catch(console.error)
})

/** What `make` resolves with, made once for all who ask; after a failure for whoever asks next. */
function againAfterFailure(make) {
  let made
  const forget = (error) => {
    made = undefined
    throw error
  }
  return () => (made ??= make().catch(forget))
}

/** Starts all servers, or leaves none behind. */
async function begin(plan) {
  let front
  const started = await Promise.allSettled(
    plan.map((server) => startUpstream(server, () => front?.refresh())),
  )
  const upstreams = started.flatMap(({ value }) => value ?? [])
  try {
    const failed = started.find(({ status }) => status === 'rejected')
    if (failed !== undefined) throw failed.reason
    front = createFront(upstreams, () => [...sessions.values()].map(({ server }) => server))
    await front.refresh()
    return front
  } catch (error) {
    await Promise.allSettled(upstreams.map((upstream) => upstream.close()))
    throw error
  }
}

function listen(frontOf, token) {
  const server = createServer((request, response) => {
    answer(request, response, frontOf, token).catch((error) => {
      console.error(error)
      if (!response.headersSent) refuse(response, 500, -32603, 'The gateway failed.')
      else response.destroy()
    })
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, () => resolve())
  })
}

async function answer(request, response, frontOf, token) {
  const { pathname } = new URL(request.url, 'http://gateway')
  if (pathname === '/health') return response.end('ok\n')
  if (pathname !== '/mcp') return refuse(response, 404, -32601, 'There is only /mcp.')
  if (!isSame(request.headers.authorization ?? '', `Bearer ${token}`)) {
    response.setHeader('www-authenticate', 'Bearer')
    return refuse(
      response,
      401,
      -32001,
      'The token is missing or another: send it as Authorization: Bearer <token>.',
    )
  }
  const body = request.method === 'POST' ? await readBody(request) : undefined
  if (body === null) return refuse(response, 413, -32600, 'The request is too large.')
  const id = request.headers['mcp-session-id']
  if (id === undefined) return await openSession(request, response, body, frontOf)
  const session = sessions.get(id)
  if (session === undefined) return refuse(response, 404, -32001, 'There is no such session.')
  sessions.delete(id)
  sessions.set(id, session)
  await session.transport.handleRequest(request, response, body)
}

/** A client's first request: the transport refuses what begins no session. */
async function openSession(request, response, body, frontOf) {
  const front = await frontOf().catch(({ message }) => refuse(response, 503, -32603, message))
  if (front === undefined) return
  const server = front.createServer()
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized(id) {
      sessions.set(id, { server, transport })
      if (sessions.size <= sessionsMax) return
      const [[, oldest]] = sessions
      oldest.transport.close().catch(console.error)
    },
  })
  transport.onclose = () => sessions.delete(transport.sessionId)
  await server.connect(transport)
  await transport.handleRequest(request, response, body)
}

/** The JSON of a body; null where it is larger than may be, undefined where it is none. */
async function readBody(request) {
  const parts = []
  let size = 0
  for await (const part of request) {
    size += part.length
    if (size > bodyMaxBytes) return null
    parts.push(part)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch {
    return undefined
  }
}

function isSame(one, other) {
  const hash = (text) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(one), hash(other))
}

function refuse(response, status, code, message) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null }))
}
