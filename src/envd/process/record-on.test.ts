/** What a sandbox's log gets of processes whose clients leave them, from a real agent. */
import { setMaxListeners } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import type { SandboxLogEntry } from '../../domain/sandbox-log.ts'
import { exec } from '../../guest/exec.ts'
import { list } from '../../guest/list.ts'
import { createSemaphore } from '../../lib/semaphore.ts'
import type { TargetLog } from '../target.ts'
import { callStream, readEnvelopes } from '../wire.fixture.ts'
import { recordRunning } from './record-running.ts'

const patient = { timeout: 20_000 }
let agent: TestAgent
let server: EnvdServer
let entries: SandboxLogEntry[]
let gone: AbortController
let log: TargetLog

beforeAll(async () => {
  agent = await startAgent()
})
beforeEach(async () => {
  await server?.[Symbol.asyncDispose]()
  entries = []
  gone = new AbortController()
  setMaxListeners(0, gone.signal)
  log = { followers: createSemaphore(4), write: (entry) => entries.push(entry) }
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
  log.followers = createSemaphore(1)
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

/** Starts a script that no request recorded; its pid. */
async function runUnseen(script: string): Promise<string> {
  const request = { cmd: '/bin/sh', args: ['-c', script], env: {}, stdin: false }
  const { pid, events } = await exec(agent.guest, request, AbortSignal.timeout(20_000))
  await events.return()
  return String(pid)
}

test('what runs already when a sandbox comes back is recorded from then on, what is started meanwhile once', async () => {
  const go = (name: string) => `until [ -e ${agent.folder}/${name} ]; do sleep 0.02; done`
  const worker = await runUnseen(`echo before; ${go('go')}; echo after; exit 3`)
  const flood = await runUnseen(
    `yes | head -c 100000; touch ${agent.folder}/full; ${go('go')}; echo not logged`,
  )
  const over = await runUnseen('exit 0')
  const listed = async () => {
    const pids: string[] = []
    const running = await list(agent.guest, AbortSignal.timeout(20_000))
    for await (const { pid } of running) pids.push(String(pid))
    return pids
  }
  await expect.poll(listed, patient).not.toContain(over)
  await expect.poll(() => existsSync(join(agent.folder, 'full')), patient).toBe(true)
  entries.length = 0

  const recording = recordRunning(server.target, log)
  const own = await Promise.all(
    [1, 1, 2].map((count) => leaveAfter(count, `echo mine; ${go('go')}; echo end`)),
  )
  await recording
  // Until it is followed, what it prints isn't known.
  await new Promise((resolve) => setTimeout(resolve, 300))
  writeFileSync(join(agent.folder, 'go'), '')

  for (const pid of own) {
    await expect.poll(() => said(pid), patient).toEqual(['process started', 'mine', 'end', 'process ended'])
  }
  await expect.poll(() => said(worker), patient).toEqual(['after', 'process ended'])
  expect([said(flood), said(over)]).toEqual([[], []])
})
