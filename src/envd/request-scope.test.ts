import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createRequestScope } from './request-scope.ts'

const response = () => new EventEmitter() as ServerResponse

describe('a request scope', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('ends with its response, its sandbox or its time', () => {
    const res = response()
    const left = createRequestScope(res, new AbortController().signal)
    res.emit('close')
    expect(left.signal.reason).toMatchObject({ code: 'canceled' })

    const gone = new AbortController()
    const orphan = createRequestScope(response(), gone.signal)
    gone.abort()
    expect(orphan.signal.reason).toMatchObject({ code: 'unavailable' })
    expect(createRequestScope(response(), gone.signal).signal.aborted).toBe(true)
  })

  it('measures times longer than one timer can', () => {
    const scope = createRequestScope(response(), new AbortController().signal)
    const days = 24 * 3600 * 1000
    scope.limit(100 * days)
    vi.advanceTimersByTime(100 * days - 1)
    expect(scope.signal.aborted).toBe(false)
    vi.advanceTimersByTime(1)
    expect(scope.signal.reason).toMatchObject({ code: 'deadline_exceeded' })
  })

  it('leaves no timer behind', () => {
    const res = response()
    const scope = createRequestScope(res, new AbortController().signal)
    scope.limit(1000)
    scope.limit(2000)
    expect(vi.getTimerCount()).toBe(1)
    res.emit('close')
    expect(vi.getTimerCount()).toBe(0)
  })
})
