/** Many at once: that nothing is mixed up, and nothing falls over. */
import { once } from 'node:events'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import WebSocket from 'ws'
import { isDomainMode } from '../support/mode.ts'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { startWebServer } from '../support/web-server.ts'

const { Sandbox: Sandboxes } = sdks[0]!.sdk
const port = 8000
/** How long the WebSockets stay, in milliseconds. */
const stayMs = process.env.E2B_TEST_DEEP === undefined ? 5_000 : 60_000

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** Where a sandbox's port is: by its own name where that resolves, else by header. */
function at(sandbox: Sandbox): { url: string; headers: Record<string, string> } {
  if (isDomainMode) return { url: `https://${sandbox.getHost(port)}`, headers: {} }
  const headers = { 'e2b-sandbox-id': sandbox.sandboxId, 'e2b-sandbox-port': String(port) }
  return { url: server.url, headers }
}

async function who(sandbox: Sandbox): Promise<string> {
  const { url, headers } = at(sandbox)
  const send = url.startsWith('https:') ? requestHttps : requestHttp
  const [res] = await once(send(`${url}/who`, { headers }).end(), 'response')
  return await text(res)
}

test('1000 requests to 50 sandboxes at once each reach the right one', { timeout: 300_000 }, async () => {
  const sandboxes = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const sandbox = await Sandboxes.create({ timeoutMs: 600_000, requestTimeoutMs: 280_000 })
      await startWebServer(sandbox, port, sandbox.sandboxId)
      await sandbox.files.write('who', sandbox.sandboxId)
      return sandbox
    }),
  )
  const asked = Array.from({ length: 1000 }, (_, i) => sandboxes[(i * 7) % 50]!)
  const answers = await Promise.all(
    asked.map((sandbox, i) => (i % 4 === 0 ? sandbox.files.read('who') : who(sandbox))),
  )
  expect(answers).toEqual(asked.map(({ sandboxId }) => sandboxId))
  await Promise.all(sandboxes.map((sandbox) => sandbox.kill({ requestTimeoutMs: 280_000 })))
})

test('500 WebSockets to one sandbox stay up and answer', { timeout: 120_000 + stayMs }, async () => {
  const sandbox = await Sandboxes.create({ timeoutMs: 600_000 })
  await startWebServer(sandbox, port, 'echo')
  const { url, headers } = at(sandbox)
  const ended: number[] = []
  const sockets = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/socket`, { headers })
      await once(socket, 'open')
      socket.on('close', (code) => ended.push(code))
      socket.on('error', () => {})
      return socket
    }),
  )
  const echo = async (socket: WebSocket, message: string) => {
    const answered = once(socket, 'message')
    socket.send(message)
    const [data] = await answered
    return String(data)
  }
  const round = async (name: string) => {
    const messages = sockets.map((_, i) => `${name} ${i}`)
    expect(await Promise.all(sockets.map((socket, i) => echo(socket, messages[i]!)))).toEqual(messages)
  }
  await round('first')
  await new Promise((resolve) => setTimeout(resolve, stayMs))
  await round('last')
  expect(ended).toEqual([])
  // Killed, they are all cut: nobody is left to wait.
  await sandbox.kill()
  await expect.poll(() => ended.length, { timeout: 20_000 }).toBe(500)
  expect(new Set(ended)).toEqual(new Set([1006]))
})
