import { afterEach, beforeEach, expect, test } from 'vitest'
import { sleep } from '../../lib/deadline.ts'
import { silentLog } from '../../lib/log.ts'
import { createEngineHealth, type EngineHealth } from './engine-health.ts'

let answer: (signal: AbortSignal) => Promise<unknown>
let health: EngineHealth
let changes: { up: boolean; reason: string }[]

const silence = (signal: AbortSignal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
const refusal = (code: string) => async () => {
  throw Object.assign(new Error(code), { code })
}

beforeEach(() => {
  health = createEngineHealth({ ping: (signal) => answer(signal), socketPath: '/socket', log: silentLog })
  changes = []
  health.onChange((change) => changes.push(change))
})

afterEach(() => health.close())

function isDown(down: AbortSignal): Promise<void> {
  if (down.aborted) return Promise.resolve()
  return new Promise((resolve) => down.addEventListener('abort', () => resolve(), { once: true }))
}

test('answers of other calls keep a slow engine up; without them silence takes it down', async () => {
  answer = silence
  const use = health.use()
  for (let i = 0; i < 12; i++) {
    await sleep(200)
    health.heard()
  }
  expect(use.down.aborted).toBe(false)
  const before = performance.now()
  await isDown(use.down)
  expect(performance.now() - before).toBeGreaterThan(1_300)
  expect(performance.now() - before).toBeLessThan(2_000)
  expect(use.down.reason).toMatchObject({ code: 'unavailable' })
  use.release()
})

test('a refusal takes it down at once, an answer up again', async () => {
  answer = refusal('ECONNREFUSED')
  const use = health.use()
  await isDown(use.down)
  expect(health.use().down.aborted).toBe(true)
  answer = async () => {}
  await new Promise<void>((resolve) => health.onChange(() => resolve()))
  expect(changes.map(({ up }) => up)).toEqual([false, true])
  expect(health.use().down.aborted).toBe(false)
})

test('one broken connection is no death', async () => {
  let pings = 0
  answer = async () => {
    pings++
    if (pings === 1) await refusal('ECONNRESET')()
  }
  const use = health.use()
  while (pings < 3) await sleep(20)
  expect(use.down.aborted).toBe(false)
  expect(changes).toEqual([])
})

test('an engine that nobody uses is left alone', async () => {
  let pings = 0
  answer = async () => pings++
  health.use().release()
  await sleep(700)
  expect(pings).toBeLessThanOrEqual(1)
})

test('closing ends all uses', () => {
  answer = silence
  const use = health.use()
  health.close()
  expect(use.down.reason).toMatchObject({ code: 'unavailable' })
  expect(health.use().down.aborted).toBe(true)
})
