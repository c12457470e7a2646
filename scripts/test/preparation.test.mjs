import { expect, test } from 'vitest'
import { stepsFor } from '../setup/steps.mjs'
import { createPreparation } from './preparation.mjs'
import { suites } from './suites.mjs'

test('a suite waits for the steps that it names, others for all', async () => {
  const { onDone, onAllDone, whenReady } = createPreparation()
  const ready = []
  const wait = (name, suite) => void whenReady(suite).then(() => ready.push(name))
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  wait('one', { needs: ['a'] })
  wait('two', { needs: ['a', 'b'] })
  wait('all', {})
  onDone('b')
  await settled()
  expect(ready).toEqual([])
  onDone('a')
  await settled()
  expect(ready).toEqual(['one', 'two'])
  onAllDone()
  wait('late', {})
  await settled()
  expect(ready).toEqual(['one', 'two', 'all', 'late'])
})

test('the setup has what suites name', () => {
  const steps = stepsFor('test').map(({ name }) => name)
  const needs = suites.flatMap((suite) => suite.needs ?? [])
  expect(needs.length).toBeGreaterThan(0)
  expect(steps).toEqual(expect.arrayContaining(needs))
})
