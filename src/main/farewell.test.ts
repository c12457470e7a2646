import { expect, test } from 'vitest'
import { farewell } from './farewell.ts'

test.each([
  [0, 0, 'Stopped. No sandboxes are left.'],
  [1, 0, 'Stopped. 1 sandbox keeps running; "npm start" finds it again.'],
  [2, 0, 'Stopped. 2 sandboxes keep running; "npm start" finds them again.'],
  [0, 1, 'Stopped. 1 sandbox stays paused; "npm start" finds it again.'],
  [1, 2, 'Stopped. 1 sandbox keeps running, 2 sandboxes stay paused; "npm start" finds them again.'],
])('%i running and %i paused: %s', (running, paused, words) => {
  expect(farewell({ running, paused })).toBe(words)
})
