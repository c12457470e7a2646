/** What a tenant with a key, and with root in a sandbox, does to stop the server for the others. Each attack may fail as it likes. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { Sandbox } from 'e2b'
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import type { TestServer } from './server.ts'

export interface HostileTenant {
  /** All attacks, one after the other and some side by side. Resolves when they have been answered, or given up. */
  attack(): Promise<void>
  kill(): Promise<void>
}

const filesOfDirectory = 50_000
const answerTimeoutMs = 60_000
/** Where a sandbox of Docker's has the socket of its agent */
const socketDir = '/run/e2b-guest/socket'

/**
 * Prepares a tenant with a large directory and, where a sandbox sees the socket of its agent, which the native runtime's don't,
 * one with another agent in its agent's place. Restarts the server: only a new one takes the impostor for the agent.
 */
export async function prepareHostileTenant(server: TestServer): Promise<HostileTenant> {
  const honest = await Sandbox.create({ timeoutMs: 1_200_000 })
  await honest.commands.run(`mkdir d && cd d && seq 1 ${filesOfDirectory} | xargs touch`)
  const taken = await Sandbox.create({ timeoutMs: 1_200_000 })
  if (testedRuntime() === 'native') await expectNoSocket(taken)
  else await replaceAgent(taken)
  await server.end('SIGTERM')
  await server.restart()

  const ask = async (sandbox: Sandbox, path: string, type: string, body: string | Buffer) => {
    const { envdAccessToken } = sandbox as unknown as { envdAccessToken: string }
    const response = await fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: {
        'e2b-sandbox-id': sandbox.sandboxId,
        'e2b-sandbox-port': '49983',
        'x-access-token': envdAccessToken,
        'content-type': type,
        ...(type.startsWith('application/connect') && { 'connect-content-encoding': 'gzip' }),
      },
      body: new Uint8Array(Buffer.from(body)),
      signal: AbortSignal.timeout(answerTimeoutMs),
    })
    await response.arrayBuffer()
  }
  const listDir = (sandbox: Sandbox, path: string) =>
    ask(sandbox, '/filesystem.Filesystem/ListDir', 'application/json', JSON.stringify({ path, depth: 1 }))
  const bomb = (type: string, message: Buffer) => {
    const packed = gzipSync(message)
    const header = Buffer.alloc(5)
    header.writeUInt8(1)
    header.writeUInt32BE(packed.length, 1)
    return () => ask(honest, '/process.Process/Start', type, Buffer.concat([header, packed]))
  }
  const megabytes = 15 * 2 ** 20
  const attacks: (() => Promise<unknown>)[] = [
    bomb('application/connect+proto', Buffer.from('7800'.repeat(megabytes / 2), 'hex')),
    bomb('application/connect+json', Buffer.from(`{"x":[${'{},'.repeat(megabytes / 3)}{}]}`)),
    bomb('application/connect+json', Buffer.from(`{"x":${'['.repeat(megabytes / 2)}`)),
    () => ask(honest, '/process.Process/List', 'application/json', `{"x":[${'{},'.repeat(1_000_000)}{}]}`),
    () => listDir(honest, '/home/user/d'),
    () => Promise.all(Array.from({ length: 8 }, () => listDir(honest, '/home/user/d').catch(() => {}))),
    () => listDir(taken, '/'),
    () => Promise.all(Array.from({ length: 8 }, () => listDir(taken, '/').catch(() => {}))),
    () => Promise.all(Array.from({ length: 300 }, () => neverSent(server))),
    () => taken.commands.run(`dd if=/dev/zero of=${socketDir}/fill bs=1M count=256`, { user: 'root' }),
    () =>
      fetch(`${server.url}/v2/sandboxes`, {
        method: 'POST',
        headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
        body: `{"templateID":"base","metadata":{"x":${'['.repeat(500_000)}`,
        signal: AbortSignal.timeout(answerTimeoutMs),
      }),
  ]
  return {
    async attack() {
      for (const each of attacks) await each().catch(() => {})
    },
    async kill() {
      await Promise.all([honest.kill(), taken.kill()])
    },
  }
}

async function replaceAgent(sandbox: Sandbox): Promise<void> {
  const program = readFileSync(join(import.meta.dirname, 'impostor.py'), 'utf8')
  await sandbox.files.write('/tmp/impostor.py', program)
  const impostor = `cd ${socketDir} && exec python3 /tmp/impostor.py`
  await sandbox.commands.run(impostor, { user: 'root', background: true, timeoutMs: 0 })
  const isThere = `until [ -e ${socketDir}/real.sock ]; do sleep 0.1; done`
  await sandbox.commands.run(isThere, { user: 'root' })
}

async function expectNoSocket(sandbox: Sandbox): Promise<void> {
  const look = `ls ${socketDir}; find / -xdev -type s -name '*.sock' 2>/dev/null`
  const { stdout } = await sandbox.commands.run(`${look}; true`, { user: 'root' })
  if (stdout !== '') throw new Error(`the sandbox sees sockets: ${stdout}`)
}

/** A request that is refused, and whose body never comes. Resolves with the answer. */
function neverSent(server: TestServer): Promise<void> {
  const { hostname, port } = new URL(server.url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`POST /v2/sandboxes HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 100\r\n\r\nx`)
    })
    socket.once('data', () => resolve())
    socket.once('error', () => resolve())
    socket.setTimeout(answerTimeoutMs, () => socket.destroy())
    socket.once('close', () => resolve())
    socket.resume()
  })
}
