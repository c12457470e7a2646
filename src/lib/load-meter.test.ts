import { expect, test } from 'vitest'
import { createLoadMeter } from './load-meter.ts'

test('a standstill shows in the delay of the event loop, and is told once', async () => {
  const meter = createLoadMeter()
  try {
    meter.read()
    for (const until = performance.now() + 400; performance.now() < until; );
    const { loopDelayMs, cpuMs, rssBytes, heapBytes } = meter.read()
    expect(loopDelayMs.max).toBeGreaterThan(300)
    expect(loopDelayMs.mean).toBeLessThanOrEqual(loopDelayMs.max)
    expect(cpuMs).toBeGreaterThan(0)
    expect(rssBytes).toBeGreaterThan(heapBytes)
    expect(meter.read().loopDelayMs.max).toBeLessThan(loopDelayMs.max)
  } finally {
    meter.close()
  }
})
