import { existsSync, readFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { createPrograms } from './programs.mjs'

function options(more = {}) {
  const said = []
  return { said, cwd: '/', maxMs: 60_000, say: (line) => said.push(line), ...more }
}

/** Whether a process runs still; one that nobody has waited for yet has ended. */
function isRunning(pid) {
  return existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

test('both outputs are heard, the standard one is kept', async () => {
  const given = options({ env: { WORD: 'hello' } })
  const script = 'echo "$WORD"; echo oh >&2; exit 3'
  expect(await createPrograms().run('sh', ['-c', script], given)).toEqual({ code: 3, lines: ['hello'] })
  expect(given.said.sort()).toEqual(['hello', 'oh'])
})

test('a program that can’t be started, or is killed, has failed and it is said', async () => {
  const programs = createPrograms()
  const missing = options()
  expect((await programs.run('/does/not/exist', [], missing)).code).not.toBe(0)
  expect(missing.said[0]).toContain("/does/not/exist can't be started")
  const killed = options()
  expect((await programs.run('sh', ['-c', 'kill -9 $$'], killed)).code).not.toBe(0)
  expect(killed.said).toContain('sh was ended by SIGKILL.')
})

test('one that takes too long ends with all that it started', async () => {
  const given = options({ maxMs: 300 })
  const { code, lines } = await createPrograms().run('sh', ['-c', 'sleep 1000 & echo $!; wait'], given)
  expect(code).not.toBe(0)
  expect(given.said.join()).toContain('took longer than')
  await vi.waitFor(() => expect(isRunning(Number(lines[0]))).toBe(false))
})

test('what a program leaves running is ended, and not waited for', async () => {
  const { code, lines } = await createPrograms().run('sh', ['-c', 'sleep 1000 & echo $!'], options())
  expect(code).toBe(0)
  await vi.waitFor(() => expect(isRunning(Number(lines[0]))).toBe(false))
})

test('all can be ended, and nothing is started any more', async () => {
  const programs = createPrograms()
  let hear
  const heard = new Promise((resolve) => {
    hear = resolve
  })
  const run = programs.run('sh', ['-c', 'sleep 1000 & echo $!; wait'], options({ say: (line) => hear(line) }))
  const pid = Number(await heard)
  await programs.endAll()
  expect((await run).code).not.toBe(0)
  expect(isRunning(pid)).toBe(false)
  expect(await programs.run('echo', ['late'], options())).toEqual({ code: 1, lines: [] })
})
