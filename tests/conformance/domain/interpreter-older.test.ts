/** The code interpreter through the first generation of its SDKs, which find a server by its domain alone. */
import { join } from 'node:path'
import { Sandbox } from 'code-interpreter-1-5'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { outputOf, runCheck } from '../../support/framework-checks.ts'
import { joinSharedServer, type SharedServer } from '../../support/shared-server.ts'

const timeout = 180_000

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test('e2b-code-interpreter 1.5.2 (Python, sync and async)', { timeout }, async () => {
  const python = join(import.meta.dirname, '../../../build/python/interpreter-1.5.2/bin/python')
  expect(await outputOf(python, join(import.meta.dirname, 'interpreter_older.py'))).toBe('all done\n')
})

test('arcade-e2b, a program with 1.5.2 inside', { timeout }, async () => {
  const folder = join(import.meta.dirname, '../frameworks/domain')
  expect(await runCheck(folder, 'arcade-e2b')).toMatch(/all done\n$/)
})

test('@e2b/code-interpreter 1.5.1', { timeout }, async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000, envs: { GLOBAL: 'global' } })
  try {
    const seen: unknown[] = []
    const execution = await sandbox.runCode(
      'import os; print(os.environ["GLOBAL"], os.environ["OWN"]); x = 6; x * 7',
      {
        envs: { OWN: 'own' },
        onStdout: ({ line }) => void seen.push(line),
        onResult: ({ text }) => void seen.push(text),
      },
    )
    expect(execution.text).toBe('42')
    expect(execution.logs).toEqual({ stdout: ['global own\n'], stderr: [] })
    expect(seen.toSorted()).toEqual(['42', 'global own\n'])
    expect((await sandbox.runCode('1 / 0')).error).toMatchObject({ name: 'ZeroDivisionError' })
    const { results } = await sandbox.runCode(
      'import matplotlib.pyplot as plt; plt.bar(["a", "b"], [1, 2]); plt.show()',
    )
    expect(results[0]?.chart).toMatchObject({
      type: 'bar',
      elements: [
        { label: 'a', value: 1 },
        { label: 'b', value: 2 },
      ],
    })
    expect((await sandbox.runCode('console.log(1 + 1)', { language: 'js' })).logs.stdout).toEqual(['2\n'])
    const context = await sandbox.createCodeContext({ cwd: '/tmp' })
    expect((await sandbox.runCode('import os; os.getcwd()', { context })).text).toBe('/tmp')
    expect((await sandbox.runCode('x', { context })).error?.name).toBe('NameError')
    await expect(
      sandbox.runCode('import time; time.sleep(300)', { context, timeoutMs: 1_000 }),
    ).rejects.toThrow(/timed out/i)
    expect((await sandbox.runCode('x')).text).toBe('6')
  } finally {
    await sandbox.kill()
  }
})
