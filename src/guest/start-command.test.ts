/** Against the real agent. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAgent, type TestAgent } from '../../tests/support/agent.ts'
import { list } from './list.ts'
import { runStartCommand, type StartCommand } from './start-command.ts'

let agent: TestAgent
beforeAll(async () => {
  agent = await startAgent()
})
afterAll(() => agent?.[Symbol.asyncDispose]())

const at = (name: string) => join(agent.folder, name)
const signal = () => AbortSignal.timeout(20_000)
const start = (command: StartCommand, options = {}) =>
  runStartCommand(agent.guest, command, { signal: signal(), ...options })

async function running(): Promise<(string | undefined)[]> {
  const tags: (string | undefined)[] = []
  for await (const { tag } of await list(agent.guest, signal())) tags.push(tag)
  return tags
}

test('it goes on running once the ready command succeeds, which is tried until it does', async () => {
  const said: string[] = []
  await start(
    {
      startCmd: `sleep 0.3; touch ${at('ready')}; echo up; exec sleep 60`,
      readyCmd: `echo try; test -e ${at('ready')}`,
    },
    {
      onOutput: (command: string, stream: string, bytes: Buffer) =>
        said.push(`${command} ${stream} ${bytes}`),
    },
  )
  expect(said.filter((line) => line === 'ready stdout try\n').length).toBeGreaterThan(1)
  expect(said).toContain('start stdout up\n')
  expect(await running()).toEqual(['start_cmd'])
})

test('one that ends well is no failure; without a ready command nobody waits', async () => {
  await writeFile(at('later'), '')
  await start({ startCmd: 'true', readyCmd: `test -e ${at('later')}` })
  await start({ startCmd: null, readyCmd: 'true' })
  await start({ startCmd: 'exec sleep 61', readyCmd: null })
  expect(await running()).toContain('start_cmd')
})

test('one that fails before it is ready says how, with its last words', async () => {
  await rm(at('never'), { force: true })
  const failing = start({ startCmd: 'echo "no such file" >&2; exit 3', readyCmd: `test -e ${at('never')}` })
  await expect(failing).rejects.toMatchObject({
    code: 'failed_precondition',
    message:
      "The template's start command ended with exit status 3 before its sandbox was ready: no such file",
  })
})

test('a ready command that never succeeds, or never ends, ends with the signal', async () => {
  for (const readyCmd of ['false', 'sleep 62']) {
    const waiting = start({ startCmd: null, readyCmd }, { signal: AbortSignal.timeout(500) })
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' })
  }
})
