import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { patientSignal, startOwnTime, startPatience } from './patience.ts'

/** Keeps this thread busy: nothing else runs in it, and no event is heard. */
function standStill(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

let server: Server | undefined
afterEach(() => server?.close())

test('an answer that lies ready wins over a limit that passed during a standstill', async () => {
  server = createServer((socket) => socket.end('answer')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const outcome = await new Promise((resolve) => {
    const patience = startPatience(100, () => resolve('over'))
    connect(port, '127.0.0.1', function (this: Socket) {
      // The answer comes while nobody looks; what is left of the limit goes by as well.
      standStill(300)
    }).once('data', (bytes) => {
      patience.stop()
      resolve(String(bytes))
    })
  })
  expect(outcome).toBe('answer')
})

test('a standstill counts little', async () => {
  const begun = performance.now()
  const over = new Promise<number>((resolve) => {
    startPatience(1600, () => resolve(performance.now() - begun))
  })
  await delay(10)
  standStill(1500)
  expect(await over).toBeGreaterThan(2800)
})

test('without one the limit is the time', async () => {
  const begun = performance.now()
  await new Promise<void>((resolve) => void startPatience(160, resolve))
  expect(performance.now() - begun).toBeGreaterThan(155)
})

test('one that was stopped stays silent, also at its very end', async () => {
  let isOver = false
  const patience = startPatience(16, () => {
    isOver = true
  })
  const late = startPatience(0, () => {
    isOver = true
  })
  standStill(40)
  setImmediate(() => late.stop())
  patience.stop()
  await delay(60)
  expect(isOver).toBe(false)
})

test('a signal aborts with what a timeout aborts with', async () => {
  const signal = patientSignal(16)
  const kept = delay(10_000, undefined, { signal }).catch(() => {})
  await kept
  expect(signal.reason).toMatchObject({ name: 'TimeoutError' })
})

test('own time does not go on in a standstill', async () => {
  const time = startOwnTime(20)
  await delay(50)
  const before = time.now()
  standStill(500)
  expect(time.now() - before).toBeLessThan(100)
  time.stop()
})
