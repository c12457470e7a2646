import { expect, test } from 'vitest'
import { explain } from './set-up.mjs'
import { SetupError } from './setup-error.mjs'

test('a failed step is a sentence, the end of the output, and what to do', () => {
  const error = new SetupError('It failed.', { output: ['first', 'second'], advice: 'Try again.' })
  expect(explain(error)).toBe('It failed.\n  | first\n  | second\nTry again.\n')
})

test('an error nobody expected keeps its stack', () => {
  expect(explain(new TypeError('odd'))).toMatch(/TypeError: odd\n\s+at /)
})
