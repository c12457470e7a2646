/** What a sandbox's log gets of processes whose clients leave them, from a real agent. */
import { setMaxListeners } from 'node:events'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import type { SandboxLogEntry } from '../../domain/sandbox-log.ts'
import { exec } from '../../guest/exec.ts'
import { createSemaphore } from '../../lib/semaphore.ts'
import { callStream, readEnvelopes } from '../wire.fixture.ts'

const patient = { timeout: 20_000 }
let agent: TestAgent
let server: EnvdServer
let entries: SandboxLogEntry[]
let gone: AbortController

beforeAll(async () => {
  agent = await startAgent()
})
beforeEach(async () => {
  await server?.[Symbol.asyncDispose]()
  entries = []
  gone = new AbortController()
  setMaxListeners(0, gone.signal)
  const log = { followers: createSemaphore(1), write: (entry: SandboxLogEntry) => entries.push(entry) }
  server = await startEnvd(agent.guest, { gone: gone.signal, log })
})
afterAll(async () => {
  gone.abort()
  await server?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
})

/** Starts a script, reads `count` messages of its stream and leaves. Its pid. */
async function leaveAfter(count: number, script: string): Promise<string> {
  const response = await callStream(`${server.url}/process.Process/Start`, {
    process: { cmd: '/bin/sh', args: ['-c', script] },
    stdin: false,
  })
  const envelopes = readEnvelopes(response)
  let pid = ''
  for (let i = 0; i < count; i++) {
    const { value } = await envelopes.next()
    pid ||= /"pid":(\d+)/.exec(value?.[1] ?? '')?.[1] ?? ''
  }
  response.destroy()
  return pid
}

const said = (pid: string) => entries.filter(({ fields }) => fields.pid === pid).map(({ message }) => message)

test('output and end are written down once each, whenever the client leaves', async () => {
  // Word by word, so that the client leaves within a line.
  const script = 'for i in 1 2 3 4 5 6; do printf "%s " $i; sleep 0.05; echo done; done; exit 4'
  const pids = await Promise.all([1, 2, 3, 5].map((count) => leaveAfter(count, script)))
  for (const pid of pids) {
    await expect
      .poll(() => said(pid), patient)
      .toEqual(['process started', ...[1, 2, 3, 4, 5, 6].map((i) => `${i} done`), 'process ended'])
    expect(entries.findLast(({ fields }) => fields.pid === pid)).toMatchObject({
      level: 'warn',
      fields: { status: 'exit status 4' },
    })
  }
})

test('a process that prints more than is logged leaves its turn to others', async () => {
  const flood = await leaveAfter(1, 'yes | head -c 3000000; sleep 3')
  await expect.poll(() => said(flood).at(-1), patient).toContain("isn't logged")
  const quiet = await leaveAfter(1, 'sleep 0.2; echo heard')
  await expect.poll(() => said(quiet), patient).toEqual(['process started', 'heard', 'process ended'])
})

test('a sandbox that goes ends the following', async () => {
  const pid = await leaveAfter(1, 'sleep 0.3; echo too late')
  gone.abort()
  const { events } = await exec(
    agent.guest,
    { cmd: '/bin/sleep', args: ['1'], env: {}, stdin: false },
    AbortSignal.timeout(20_000),
  )
  for (let last = ''; last !== 'end'; ) last = (await events.next()).value?.type ?? 'end'
  expect(said(pid)).toEqual(['process started'])
})
