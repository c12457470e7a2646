import { expect, test } from 'vitest'
import { runCommand } from './run-command.mjs'

const timeoutMs = 10_000

test('standard output comes back as lines, all output is progress', async () => {
  const seen = []
  const lines = await runCommand('sh', ['-c', 'echo one; echo two >&2; printf three'], {
    timeoutMs,
    progress: (line) => seen.push(line),
  })
  expect(lines).toEqual(['one', 'three'])
  expect(seen.sort()).toEqual(['one', 'three', 'two'])
})

test('long lines come back whole', async () => {
  const [line] = await runCommand('sh', ['-c', 'head -c 5000 /dev/zero | tr "\\0" x'], { timeoutMs })
  expect(line).toHaveLength(5000)
})

test('a failure says what failed and shows the last 20 lines', async () => {
  const run = runCommand('sh', ['-c', 'seq 100; exit 3'], { timeoutMs, advice: 'Try again.' })
  await expect(run).rejects.toMatchObject({
    message: '`sh -c seq 100; exit 3` failed with exit code 3.',
    advice: 'Try again.',
    output: Array.from({ length: 20 }, (_, i) => String(81 + i)),
  })
})

test('a program that doesn’t exist and one that takes too long are failures', async () => {
  await expect(runCommand('no-such-program', [], { timeoutMs })).rejects.toThrow(
    'could not be started (ENOENT)',
  )
  await expect(runCommand('sleep', ['60'], { timeoutMs: 50 })).rejects.toThrow('took longer than')
})

test('variables are added to the environment', async () => {
  const lines = await runCommand('sh', ['-c', 'echo "$EXTRA:$PATH"'], { timeoutMs, env: { EXTRA: 'x' } })
  expect(lines).toEqual([`x:${process.env.PATH}`])
})
