import { Agent, type ClientRequest, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'e2b'
import type { TestServer } from '../../tests/support/server.ts'
import type { Group } from '../group.ts'
import { megabyte } from '../report.ts'

const streamCount = 500
/** How long a server gets to grow under a client that doesn't read, in milliseconds */
const stallMs = 4000

/** What streams and slow clients hold of the server's memory. */
export const benchMemory: Group = async ({ server, report }) => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  await sandbox.commands.run('true')
  await sleep(1000)
  const before = server.residentBytes()
  const agent = new Agent({ keepAlive: true })
  const streams = await Promise.all(
    Array.from({ length: streamCount }, () =>
      startStream(server, { sandbox, agent, cmd: 'sleep', args: ['600'] }),
    ),
  )
  await sleep(1000)
  const grown = server.residentBytes() - before
  report(
    `${streamCount} idle streams, growth of the server's RSS | –`,
    `${inMb(grown)}, ${(grown / 1024 / streamCount).toFixed(0)} KB each`,
    'none',
  )
  for (const stream of streams) stream.destroy()

  const calm = server.residentBytes()
  const stalled = await startStream(server, { sandbox, agent, cmd: 'yes', args: [] })
  await sleep(stallMs)
  report(
    `a client that never reads \`yes\`, growth of the server's RSS in ${stallMs / 1000} s | –`,
    inMb(server.residentBytes() - calm),
    'none',
  )
  stalled.destroy()
  agent.destroy()
  await sandbox.kill()
}

interface Stream {
  sandbox: Sandbox
  agent: Agent
  cmd: string
  args: string[]
}

/** Starts a process by the bare protocol and reads nothing but the head of the answer. */
function startStream(server: TestServer, { sandbox, agent, cmd, args }: Stream): Promise<ClientRequest> {
  const { hostname, port } = new URL(server.url)
  const { envdAccessToken } = sandbox as unknown as { envdAccessToken: string }
  const message = Buffer.from(JSON.stringify({ process: { cmd, args }, stdin: false }))
  const envelope = Buffer.alloc(5 + message.length)
  envelope.writeUInt32BE(message.length, 1)
  message.copy(envelope, 5)
  return new Promise((resolve, reject) => {
    const req = request({
      host: hostname,
      port,
      agent,
      method: 'POST',
      path: '/process.Process/Start',
      headers: {
        'content-type': 'application/connect+json',
        'e2b-sandbox-id': sandbox.sandboxId,
        'e2b-sandbox-port': '49983',
        'x-access-token': envdAccessToken,
      },
    })
    req.on('error', reject)
    req.on('response', (res) => {
      res.on('error', () => {})
      if (res.statusCode !== 200) reject(new Error(`Start was answered with ${res.statusCode}`))
      else resolve(req)
    })
    req.end(envelope)
  })
}

function inMb(bytes: number): string {
  return `${(bytes / megabyte).toFixed(0)} MB`
}
