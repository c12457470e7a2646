import { expect, test } from 'vitest'
import { describeFlaky, runFailedAgain } from './flaky.mjs'

const again = () => {}
const failureOf = (name) => ({ name, text: '  why', test: { name } })
const outcomeOf = (failures, suite = { name: 'unit', again }) => ({
  suite,
  results: { passed: 5, failed: failures.length, skipped: 1, failures },
})

test('what passes the second time is counted once, as passed, and named', async () => {
  const [a, b] = [failureOf('a'), failureOf('b')]
  const asked = []
  const passesAgain = async (suite, { name }) => {
    asked.push(`${suite.name} ${name}`)
    return name === 'a'
  }
  const { outcomes, flaky } = await runFailedAgain([outcomeOf([]), outcomeOf([a, b])], passesAgain)
  expect(asked).toEqual(['unit a', 'unit b'])
  expect(flaky).toEqual([a])
  expect(outcomes.map(({ results }) => results)).toEqual([
    { passed: 5, failed: 0, skipped: 1, failures: [] },
    { passed: 6, failed: 1, skipped: 1, failures: [b] },
  ])
})

test('they are run again one by one', async () => {
  let underWay = 0
  const passesAgain = async () => {
    expect(++underWay).toBe(1)
    await new Promise((resolve) => setImmediate(resolve))
    underWay--
    return true
  }
  const { flaky } = await runFailedAgain(
    [outcomeOf([failureOf('a'), failureOf('b')]), outcomeOf([failureOf('c')])],
    passesAgain,
  )
  expect(flaky.length).toBe(3)
})

test('what isn’t a test, what can’t be run alone and what fails by the dozen is not run again', async () => {
  const never = () => expect.unreachable()
  const crash = { name: 'vitest ended with 1; see its output' }
  const many = Array.from({ length: 11 }, (_, i) => failureOf(`a${i}`))
  const before = [
    outcomeOf([crash]),
    outcomeOf([failureOf('a')], { name: 'lint' }),
    outcomeOf(many, { name: 'unit', again }),
  ]
  const { outcomes, flaky } = await runFailedAgain(before, never)
  expect(flaky).toEqual([])
  expect(outcomes).toEqual(before)
})

test('a flaky test that the page doesn’t have is told apart', () => {
  const page = '| `x.test.ts: a test` | since it … |'
  const known = { name: 'x.test.ts: a test' }
  const fresh = { name: 'x.test.ts: a', text: '  why' }
  expect(describeFlaky([known, fresh], page)).toEqual([
    'x.test.ts: a test (known to docs/flaky.md)',
    'x.test.ts: a (NEW: docs/flaky.md needs it, with its cause)',
    '  why',
  ])
})
