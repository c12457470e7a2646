import { expect, test } from 'vitest'
import { pidsLimit } from './pids-limit.ts'

test('the share of processes follows memory, within bounds', () => {
  const machine = { tasks: 32_768, machineMemoryMb: 16_384 }
  expect(pidsLimit({ ...machine, memoryMb: 512 })).toBe(4096)
  expect(pidsLimit({ ...machine, memoryMb: 4096 })).toBe(6144)
  expect(pidsLimit({ ...machine, memoryMb: 16_384 })).toBe(12_288)
  expect(pidsLimit({ ...machine, tasks: 4_194_304, memoryMb: 128 })).toBe(24_576)
  expect(pidsLimit({ tasks: 200_000, memoryMb: 512, machineMemoryMb: 0 })).toBe(4096)
})
