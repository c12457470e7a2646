import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { findProcess, guestProcesses, type ProcessEntry, parentsFirst } from './proc-table.ts'

const entry = (pid: number, parent: number): ProcessEntry => ({
  pid,
  parent,
  state: 'S',
  startTicks: pid,
  cpuMicros: 0,
})

describe('guestProcesses', () => {
  test('has nobody without an agent and a process with the home, whoever has no parent', async () => {
    for (const pid of [0, 1, 2 ** 30]) {
      expect(await guestProcesses({ pid, startTicks: 1 }, `/nowhere/${process.pid}`)).toEqual([])
    }
  })

  test('has the agent with its descendants; without an agent, those with the home with theirs', async () => {
    const home = `/nowhere/${process.pid}`
    const script = 'sleep 1000 & echo; wait'
    const start = (HOME: string) => spawn('/bin/sh', ['-c', script], { env: { HOME }, detached: true })
    const [agent, orphan] = [start('/'), start(home)]
    try {
      await Promise.all([once(agent.stdout, 'data'), once(orphan.stdout, 'data')])
      const known = await findProcess(agent.pid!)
      expect(known).toMatchObject({ pid: agent.pid, parent: process.pid })
      const below = await guestProcesses(known!, home)
      expect(below).toHaveLength(2)
      expect(below.map(({ pid, parent }) => [pid, parent])).toContainEqual([agent.pid, process.pid])
      const strays = await guestProcesses({ pid: 0, startTicks: 0 }, home)
      expect(strays).toHaveLength(2)
      expect(strays.map(({ pid, parent }) => [pid, parent])).toContainEqual([orphan.pid, process.pid])
    } finally {
      for (const { pid } of [agent, orphan]) process.kill(-pid!, 'SIGKILL')
    }
  })
})

test('parentsFirst puts parents before children, and ends for a ring', () => {
  const order = parentsFirst([entry(5, 3), entry(9, 5), entry(3, 1), entry(2, 9), entry(7, 1)])
  expect(order.map(({ pid }) => pid)).toEqual([3, 7, 5, 9, 2])
  expect(parentsFirst([entry(4, 5), entry(5, 4)])).toHaveLength(2)
})
