import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createMachine } from './machine.ts'

test('knows its memory and CPUs', async () => {
  const machine = createMachine([])
  const { totalBytes, availableBytes } = machine.memory()
  expect(totalBytes).toBe(totalmem())
  expect(availableBytes).toBeGreaterThan(0)
  expect(availableBytes).toBeLessThan(totalBytes)
  const cpu = machine.cpu()
  expect(cpu).toMatchObject({ architecture: process.arch, percent: 0 })
  expect(cpu.count).toBeGreaterThan(0)
  expect(await machine.disks()).toEqual([])
})

test('says how busy its CPUs were since it was asked, but for at least a second', async () => {
  const machine = createMachine([])
  await new Promise((resolve) => setTimeout(resolve, 1_050))
  const end = performance.now() + 50
  while (performance.now() < end);
  const { percent } = machine.cpu()
  expect(percent).toBeGreaterThanOrEqual(0)
  expect(percent).toBeLessThanOrEqual(100)
  expect(machine.cpu().percent).toBe(percent)
})

test('finds the file system of each folder, once, and leaves out what isn’t here', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'e2b machine '))
  try {
    const machine = createMachine([folder, tmpdir(), join(folder, 'nowhere')])
    const disks = await machine.disks()
    expect(disks).toHaveLength(1)
    const [disk] = disks
    const { blocks, bsize } = statfsSync(folder)
    expect(disk).toMatchObject({
      mountPoint: expect.stringMatching(/^\//),
      filesystemType: expect.stringMatching(/./),
      totalBytes: blocks * bsize,
    })
    expect(disk!.usedBytes + disk!.freeBytes).toBeLessThanOrEqual(disk!.totalBytes)
    expect(machine.freeBytes()).toHaveLength(2)
    const [kernels] = await createMachine(['/proc/self']).disks()
    expect(kernels).toMatchObject({ mountPoint: '/proc', filesystemType: 'proc' })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
