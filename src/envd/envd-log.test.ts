import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ServerError } from '../domain/error.ts'
import { protocolViolation } from '../guest/frames.ts'
import { silentLog } from '../lib/log.ts'
import { createEnvdLog } from './envd-log.ts'
import type { EnvdTarget } from './target.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function targetOf(sandboxId: string): EnvdTarget {
  const guest = { connect: () => Promise.reject(new Error('nobody there')) }
  return { sandboxId, guest, accessToken: null, envVars: {}, gone: new AbortController().signal }
}

test('a flood of violations is a line per sandbox and minute, with a count and without a stack', () => {
  const lines: Record<string, unknown>[] = []
  const write = (fields: Record<string, unknown>) => void lines.push(fields)
  const log = createEnvdLog({ ...silentLog, warn: write, error: write })
  const violate = (sandboxId: string, count: number) => {
    for (let i = 0; i < count; i++) log.report(targetOf(sandboxId), protocolViolation('x is not a string'))
  }
  violate('a', 217)
  violate('b', 1)
  expect(lines).toEqual([
    { sandboxId: 'a', violation: 'x is not a string' },
    { sandboxId: 'b', violation: 'x is not a string' },
  ])
  vi.advanceTimersByTime(60_000)
  expect(lines.slice(2)).toEqual([{ sandboxId: 'a', violations: 216, faults: 0 }])
  violate('a', 2)
  vi.advanceTimersByTime(60_000)
  expect(lines.slice(3)).toEqual([
    { sandboxId: 'a', violation: 'x is not a string' },
    { sandboxId: 'a', violations: 1, faults: 0 },
  ])
})

test('other faults are logged with their cause, some of them', () => {
  const lines: unknown[] = []
  const write = (fields: unknown) => void lines.push(fields)
  const log = createEnvdLog({ ...silentLog, warn: write, error: write })
  for (let i = 0; i < 15; i++) {
    log.report(targetOf('a'), new ServerError('internal', 'x', { cause: new Error(`fault ${i}`) }))
  }
  expect(lines).toHaveLength(10)
  expect(lines[0]).toEqual({ sandboxId: 'a', err: expect.objectContaining({ message: 'fault 0' }) })
  vi.advanceTimersByTime(60_000)
  expect(lines[10]).toEqual({ sandboxId: 'a', violations: 0, faults: 5 })
})
