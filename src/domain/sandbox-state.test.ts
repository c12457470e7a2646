import { expect, test } from 'vitest'
import { nextState, type SandboxEvent, type SandboxState } from './sandbox-state.ts'

const states: SandboxState[] = ['creating', 'running', 'killing']
const events: SandboxEvent[] = ['started', 'start-failed', 'kill', 'expire', 'guest-gone']

test('the whole table, legal and illegal', () => {
  const table = states.map((state) =>
    [state, ...events.map((event) => nextState(state, event) ?? '–')].join(' '),
  )
  //                started  start-failed kill    expire  guest-gone
  expect(table).toEqual([
    'creating running killing killing – –',
    'running – – killing killing killing',
    'killing – – killing – killing',
  ])
})

test('an end is final: nothing leads out of killing', () => {
  for (const event of events) expect(['killing', undefined]).toContain(nextState('killing', event))
})
