import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { withLock } from './lock.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

test('actions under one lock never overlap, and each gets its result', async () => {
  const file = join(temporaryFolder(), 'build', 'setup.lock')
  let running = 0
  const results = await Promise.all(
    [1, 2, 3].map((number) =>
      withLock(file, async () => {
        running++
        expect(running).toBe(1)
        await new Promise(setImmediate)
        running--
        return number
      }),
    ),
  )
  expect(results).toEqual([1, 2, 3])
})

test('who waits is told for whom, and gives up in the end', async () => {
  const file = join(temporaryFolder(), 'setup.lock')
  await withLock(file, async () => {
    let holder
    const second = withLock(file, async () => {}, { onWait: (pid) => (holder = pid), waitMs: 50 })
    await expect(second).rejects.toThrow(`process ${process.pid}`)
    expect(holder).toBe(String(process.pid))
  })
})

test('an action that throws frees the lock', async () => {
  const file = join(temporaryFolder(), 'setup.lock')
  await expect(withLock(file, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  expect(await withLock(file, async () => 'free', { waitMs: 50 })).toBe('free')
})

test('a process that is killed frees the lock', async () => {
  const file = join(temporaryFolder(), 'setup.lock')
  const program = `
    import { withLock } from ${JSON.stringify(new URL('./lock.mjs', import.meta.url).href)}
    await withLock(${JSON.stringify(file)}, () => { console.log('held'); return new Promise((done) => setTimeout(done, 60_000)) })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const waiting = withLock(file, async () => 'free', { onWait: () => child.kill('SIGKILL'), waitMs: 10_000 })
  expect(await waiting).toBe('free')
})
