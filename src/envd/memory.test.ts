/** What streams cost the server, measured in a server of their own. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EnvdProcessStart, EnvdProcessUse } from '../../tests/support/envd-process.ts'
import { callStream, exchange, readEnvelopes, send } from './wire.fixture.ts'

const program = fileURLToPath(new URL('../../tests/support/envd-process.ts', import.meta.url))
const MiB = 1024 * 1024

let child: ChildProcess
let url: string

beforeAll(async () => {
  child = fork(program, { execArgv: ['--import', 'tsx'] })
  const [start] = (await once(child, 'message')) as [EnvdProcessStart]
  url = start.url
})

afterAll(async () => {
  if (child?.connected) child.disconnect()
  if (child?.exitCode === null) await once(child, 'exit')
})

async function rssBytes(): Promise<number> {
  child.send('?')
  const [{ rssBytes }] = (await once(child, 'message')) as [EnvdProcessUse]
  return rssBytes
}

async function start(cmd: string, args: string[] = []): Promise<{ pid: number; response: IncomingMessage }> {
  const response = await callStream(`${url}/process.Process/Start`, { process: { cmd, args }, stdin: false })
  const [first] = (await once(response, 'data')) as [Buffer]
  response.pause()
  return { pid: Number(/"pid":(\d+)/.exec(first.toString())?.[1]), response }
}

async function kill(pid: number): Promise<void> {
  const response = await exchange(`${url}/process.Process/SendSignal`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ process: { pid }, signal: 'SIGNAL_SIGKILL' }),
  })
  expect(response.status).toBe(200)
}

/** CPU time of a process so far, in the kernel's ticks. */
async function cpuTicks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

/** A number once it hardly changes any more. */
async function settled(read: () => Promise<number>): Promise<number> {
  for (let last = Number.NaN, quiet = 0; ; ) {
    const value = await read()
    quiet = Math.abs(value - last) <= last / 100 ? quiet + 1 : 0
    if (quiet === 5) return value
    last = value
    await sleep(100)
  }
}

describe('a client that never reads', () => {
  it('stops the process it follows, and costs the server no more than what is on the way', async () => {
    const before = await rssBytes()
    const streams = await Promise.all(Array.from({ length: 8 }, () => start('yes')))
    for (const { pid } of streams) await settled(() => cpuTicks(pid))
    expect((await rssBytes()) - before).toBeLessThan(48 * MiB)
    expect((await exchange(`${url}/health`, { method: 'GET' })).status).toBe(204)

    // Whoever reads again gets everything.
    const [first, ...others] = streams as [(typeof streams)[0], ...typeof streams]
    let bytes = 0
    for await (const chunk of first.response) {
      bytes += chunk.length
      if (bytes > 64 * MiB) break
    }
    expect(bytes).toBeGreaterThan(64 * MiB)
    for (const { pid, response } of others) {
      response.destroy()
      await kill(pid)
    }
    await kill(first.pid)
  })

  it('costs the server no more for a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'e2b-memory-'))
    const path = join(folder, 'large')
    await writeFile(path, '')
    await truncate(path, 1024 * MiB)
    const before = await rssBytes()
    const responses = await Promise.all(
      Array.from({ length: 8 }, () =>
        send(`${url}/files?${new URLSearchParams({ path })}`, { method: 'GET' }),
      ),
    )
    expect((await settled(rssBytes)) - before).toBeLessThan(48 * MiB)
    for (const response of responses) response.destroy()
    await rm(folder, { recursive: true })
  })
})

it('holds 500 idle streams in less than 50 MB', async () => {
  const { pid, response } = await start('sleep', ['60'])
  const before = await rssBytes()
  const idle = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const stream = await callStream(`${url}/process.Process/Connect`, { process: { pid } })
      expect((await readEnvelopes(stream).next()).value?.[1]).toContain('start')
      return stream
    }),
  )
  expect((await rssBytes()) - before).toBeLessThan(50_000_000)
  for (const stream of [response, ...idle]) stream.destroy()
  await kill(pid)
})
