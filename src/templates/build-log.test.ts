import { expect, test } from 'vitest'
import type { BuildLogEntry } from '../domain/template-build.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { createBuildLog } from './build-log.ts'

/** A store whose writes end when they are let. */
function start({ held = false } = {}) {
  const entries: Omit<BuildLogEntry, 'index'>[] = []
  let release = () => {}
  const gate = held ? new Promise<void>((resolve) => (release = resolve)) : Promise.resolve()
  const store = {
    async append(_id: string, batch: readonly Omit<BuildLogEntry, 'index'>[]) {
      await gate
      entries.push(...batch)
    },
  }
  return {
    entries,
    release,
    log: createBuildLog({
      ...{ buildId: 'b', store, clock: systemClock(), log: silentLog },
      mask: (message) => message.replaceAll('hunter2', '***'),
    }),
  }
}

test('entries keep their order, level and step', async () => {
  const { entries, log } = start()
  log.at('base')
  log.write('[base] FROM image')
  log.at('1')
  log.write('failed: hunter2', 'error')
  await log.flush()
  expect(entries.map(({ message, level, step }) => [message, level, step])).toEqual([
    ['[base] FROM image', 'info', 'base'],
    ['failed: ***', 'error', '1'],
  ])
})

test('whoever puts out much waits for the store', async () => {
  const { entries, release, log } = start({ held: true })
  let count = 0
  const writing = (async () => {
    for (; count < 5_000; count++) await log.output(`line ${count}`)
  })()
  await new Promise((resolve) => setImmediate(resolve))
  expect(count).toBeLessThan(1_000)
  release()
  await writing
  await log.flush()
  expect(entries).toHaveLength(5_000)
  expect(entries.at(-1)?.message).toBe('line 4999')
})

test('output is bounded in lines and characters, and the end of the build is told all the same', async () => {
  for (const [line, most] of [
    ['short', 15_001],
    ['x'.repeat(10_000), 2_050],
  ] as const) {
    const { entries, log } = start()
    for (let count = 0; count < 20_000; count++) await log.output(line)
    log.write('over', 'error')
    await log.flush()
    expect(entries.length).toBeLessThanOrEqual(most)
    expect(entries.at(-2)?.message).toContain('is not kept')
    expect(entries.at(-1)).toMatchObject({ message: 'over', level: 'error' })
    expect(Math.max(...entries.map(({ message }) => message.length))).toBeLessThanOrEqual(4097)
  }
})
