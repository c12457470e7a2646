import { expect, test } from 'vitest'
import { rowOf, startControl } from '../../tests/support/control.ts'
import { countStarts } from './count-starts.ts'

test('counts starts under way, those that worked and those that didn’t', async () => {
  const faults = { failStart: false, startDelayMs: 100 }
  await using parts = await startControl({ faults })
  const { node, counts } = countStarts(parts.control.node)
  const options = { signal: AbortSignal.timeout(20_000), phase: () => {} }
  expect(counts()).toEqual({ underWay: 0, succeeded: 0, failed: 0 })
  const starting = node.start(rowOf({ id: 'i1', state: 'creating' }), options)
  expect(counts()).toEqual({ underWay: 1, succeeded: 0, failed: 0 })
  await starting
  expect(counts()).toEqual({ underWay: 0, succeeded: 1, failed: 0 })
  faults.failStart = true
  await expect(node.start(rowOf({ id: 'i2', state: 'creating' }), options)).rejects.toThrow()
  expect(counts()).toEqual({ underWay: 0, succeeded: 1, failed: 1 })
})
