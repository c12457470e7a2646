import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runSteps } from './run-steps.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

const silent = { begin: () => ({ progress() {}, end() {}, fail() {} }), note() {} }

function context() {
  return { lock: join(temporaryFolder(), 'setup.lock'), report: silent }
}

/** A step that writes its name into `log` when it runs; `effect: false` makes it do nothing. */
function step(name, log, { done = false, effect = true } = {}) {
  const state = { done }
  return {
    name,
    isDone: async () => state.done,
    run: async () => {
      log.push(name)
      state.done = effect
    },
  }
}

test('what is not done is done, in order, and whoever waits for a step is told', async () => {
  const log = []
  const onDone = (name) => log.push(`${name} is done`)
  await runSteps([step('a', log), step('b', log, { done: true }), step('c', log)], { ...context(), onDone })
  expect(log).toEqual(['a', 'a is done', 'b is done', 'c', 'c is done'])
})

test('with nothing to do, not even the lock is touched', async () => {
  const log = []
  const { lock, report } = context()
  const onDone = (name) => log.push(`${name} is done`)
  await runSteps([step('a', log, { done: true })], { lock, report, onDone })
  expect(log).toEqual(['a is done'])
  expect(existsSync(lock)).toBe(false)
})

test('two setups at once do the work once', async () => {
  const log = []
  const steps = [step('a', log), step('b', log)]
  const shared = context()
  await Promise.all([runSteps(steps, shared), runSteps(steps, shared)])
  expect(log).toEqual(['a', 'b'])
})

test('a step that has no effect fails, and nothing after it runs', async () => {
  const log = []
  const steps = [step('a', log, { effect: false }), step('b', log)]
  const onDone = (name) => log.push(`${name} is done`)
  await expect(runSteps(steps, { ...context(), onDone })).rejects.toThrow(/^a:/)
  expect(log).toEqual(['a'])
})

test('lanes are side by side, and what has none waits for them', async () => {
  const log = []
  let meet
  const met = new Promise((resolve) => {
    meet = resolve
  })
  // Ends only when the other lane is under way.
  const slow = { ...step('b', log), lane: 'one' }
  const fast = { ...step('c', log), lane: 'two' }
  const steps = [
    step('a', log),
    { ...slow, run: () => met.then(slow.run) },
    { ...fast, run: () => fast.run().then(meet) },
    { ...step('d', log), lane: 'one' },
    step('e', log),
  ]
  await runSteps(steps, context())
  expect(log).toEqual(['a', 'c', 'b', 'd', 'e'])
})

test('a lane that fails lets the others end their step, and nothing else begins', async () => {
  const log = []
  const other = { ...step('b', log), lane: 'two' }
  const steps = [
    { ...step('a', log, { effect: false }), lane: 'one' },
    { ...other, run: () => new Promise((resolve) => setTimeout(resolve, 50)).then(other.run) },
    { ...step('c', log), lane: 'two' },
    step('d', log),
  ]
  await expect(runSteps(steps, context())).rejects.toThrow(/^a:/)
  expect(log).toEqual(['a', 'b'])
})
