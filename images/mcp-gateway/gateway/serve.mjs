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

process.once('message', async ({ plan, token }) => {
  try {
    let front
    const upstreams = await Promise.all(plan.map((server) => startUpstream(server, () => front?.refresh())))
    front = createFront(upstreams, () => [...sessions.values()].map(({ server }) => server))
    await front.refresh()
    await listen(front, token)
    process.send({ ready: true })
  } catch (error) {
    process.send({ error: error.message }, () => process.exit(1))
  }
})

function listen(front, token) {
  const server = createServer((request, response) => {
    answer(request, response, front, token).catch((error) => {
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

async function answer(request, response, front, token) {
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
  if (id === undefined) return await begin(request, response, body, front)
  const session = sessions.get(id)
  if (session === undefined) return refuse(response, 404, -32001, 'There is no such session.')
  sessions.delete(id)
  sessions.set(id, session)
  await session.transport.handleRequest(request, response, body)
}

/** A client's first request: the transport refuses what begins no session. */
async function begin(request, response, body, front) {
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
