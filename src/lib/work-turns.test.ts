import { expect, test } from 'vitest'
import { createWorkTurns } from './work-turns.ts'

const never = new AbortController().signal

test('each turn of the loop has one step, and keys take turns', async () => {
  const turns = createWorkTurns({ lineMax: 10, waitingMax: 10 })
  let loopTurn = 0
  const count = () => {
    loopTurn++
    if (loopTurn < 100) setImmediate(count)
  }
  setImmediate(count)
  const steps: [key: string, turn: number][] = []
  const work = async (key: string) => {
    await turns.take(key, never)
    steps.push([key, loopTurn])
  }
  await Promise.all(['a', 'a', 'a', 'a', 'b'].map(work))
  expect(steps.map(([key]) => key)).toEqual(['a', 'a', 'b', 'a', 'a'])
  expect(new Set(steps.map(([, turn]) => turn)).size).toBe(5)
})

test('whoever finds too many waiting is told so', async () => {
  const turns = createWorkTurns({ lineMax: 1, waitingMax: 10 })
  const first = turns.take('a', never)
  const second = turns.take('a', never)
  expect(turns.take('a', never)).toBeUndefined()
  await Promise.all([first, second])
})
