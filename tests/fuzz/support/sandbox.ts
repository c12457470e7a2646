/** A server with one sandbox, asked by raw requests: whatever is written or run lands in that container only. */

import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { inspect } from 'node:util'
import { Sandbox } from 'e2b'
import { expect } from 'vitest'
import { startTestServer } from '../../support/server.ts'

export interface Question {
  method: string
  path: string
  headers: Record<string, string>
  body?: Buffer
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  /** False where the answer was given up because it goes on for ever */
  isWhole: boolean
}

export interface FuzzSandbox extends AsyncDisposable {
  /** Asks envd, with the sandbox's token. An answer that is still coming after `streamMs` is left; none at all rejects. */
  ask(question: Question): Promise<Answer>
  /** Fails unless server and sandbox are as well as ever. */
  expectHealthy(): Promise<void>
  sandbox: Sandbox
}

/** Silence after which there is no answer, and time after which a stream is left, in milliseconds. */
const answerTimeoutMs = 10_000
const streamMs = 400
/** What the server may grow by under all of this, in bytes: twice what a collector leaves lying at its laziest. */
const growthMax = 500 * 1024 * 1024

export async function startFuzzSandbox(): Promise<FuzzSandbox> {
  const server = await startTestServer()
  const sandbox = await Sandbox.create({ timeoutMs: 3_600_000 })
  const { envdAccessToken } = sandbox as unknown as { envdAccessToken: string }
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const base = new URL(server.url)
  const routing = {
    'E2b-Sandbox-Id': sandbox.sandboxId,
    'E2b-Sandbox-Port': '49983',
    'X-Access-Token': envdAccessToken,
  }
  const memoryBefore = server.residentBytes()
  let workers = server.dataWorkers()

  /** Neither the server nor one of its data workers has ended. */
  const isWell = () => String(server.dataWorkers()) === String(workers)

  const recent: Question[] = []

  return {
    sandbox,
    async ask(question) {
      recent.splice(0, recent.length - 2)
      recent.push(question)
      try {
        return await send(question)
      } catch (cause) {
        if (isWell()) throw cause
        const said = server.output().slice(-4000)
        // So that what is tried next, on the way to a smaller input, meets a server.
        if (server.dataWorkers().length === 0) await server.restart()
        workers = server.dataWorkers()
        // The end may come a moment after its cause was answered.
        throw new Error(
          `the server or a data worker ended: ${said}\nlast requests: ${inspect(recent, { depth: 4 })}`,
          {
            cause,
          },
        )
      }
    },
    async expectHealthy() {
      expect(await sandbox.isRunning()).toBe(true)
      expect((await sandbox.commands.run('echo well')).stdout).toBe('well\n')
      const errors = server
        .output()
        .split('\n')
        .filter((line) => /"level":(50|60)/.test(line))
      expect(errors).toEqual([])
      expect(server.residentBytes() - memoryBefore).toBeLessThan(growthMax)
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
      await server[Symbol.asyncDispose]()
    },
  }

  function send({ method, path, headers, body }: Question): Promise<Answer> {
    const options = {
      host: base.hostname,
      port: base.port,
      agent,
      method,
      path,
      headers: { ...headers, ...routing },
    }
    return new Promise((resolve, reject) => {
      const req = request(options)
      req.setTimeout(answerTimeoutMs, () => req.destroy(new Error(`no answer within ${answerTimeoutMs} ms`)))
      req.on('error', reject)
      req.on('response', (res) => {
        const chunks: Buffer[] = []
        const settle = (isWhole: boolean) => {
          clearTimeout(timer)
          const { statusCode: status = 0, headers: got } = res
          resolve({ status, headers: got, body: Buffer.concat(chunks), isWhole })
        }
        const timer = setTimeout(() => {
          settle(false)
          req.destroy()
        }, streamMs)
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () => settle(true))
        res.on('error', () => settle(false))
      })
      req.end(body)
    })
  }
}

/** Fails unless an error's body is the one that clients read, without anything of the server's insides. */
export function expectErrorBody({ status, body }: Answer): { code: unknown; message: string } {
  const text = body.toString()
  expect(text).not.toMatch(/node_modules|\n {4}at |src\//)
  const error = JSON.parse(text) as { code: unknown; message: string }
  expect(typeof error.message, text).toBe('string')
  expect(['number', 'string'], text).toContain(typeof error.code)
  if (typeof error.code === 'number') expect(error.code).toBe(status)
  return error
}
