import { expect, test } from 'vitest'
import { nextState, publicState, sandboxEvents, sandboxStates } from './sandbox-state.ts'

test('the whole table, legal and illegal', () => {
  const table = sandboxStates.flatMap((state) =>
    sandboxEvents.flatMap((event) => {
      const next = nextState(state, event)
      return next === undefined ? [] : [`${state} + ${event} = ${next}`]
    }),
  )
  expect(table).toEqual([
    'creating + started = running',
    'creating + start-failed = killing',
    'creating + kill = killing',
    'running + pause = pausing',
    'running + snapshot = snapshotting',
    'running + kill = killing',
    'running + expire = killing',
    'running + guest-gone = killing',
    'pausing + paused = paused',
    'pausing + pause-failed = running',
    'pausing + kill = killing',
    'pausing + guest-gone = killing',
    'paused + resume = resuming',
    'paused + kill = killing',
    'paused + guest-gone = killing',
    'resuming + resumed = running',
    'resuming + resume-failed = paused',
    'resuming + kill = killing',
    'resuming + guest-gone = killing',
    'snapshotting + snapshotted = running',
    'snapshotting + kill = killing',
    'snapshotting + expire = killing',
    'snapshotting + guest-gone = killing',
    'killing + kill = killing',
    'killing + guest-gone = killing',
  ])
})

test('an end is final: nothing leads out of killing, and a kill is legal everywhere', () => {
  for (const event of sandboxEvents) expect(['killing', undefined]).toContain(nextState('killing', event))
  for (const state of sandboxStates) expect(nextState(state, 'kill')).toBe('killing')
})

test('every intent has a way to success and, but for an end, a way back', () => {
  expect(nextState('pausing', 'pause-failed')).toBe('running')
  expect(nextState('resuming', 'resume-failed')).toBe('paused')
})

test('clients see two states: a pause counts from its beginning, a resume from its end', () => {
  expect(sandboxStates.map((state) => publicState(state))).toEqual([
    undefined,
    'running',
    'paused',
    'paused',
    'paused',
    'running',
    undefined,
  ])
})
