// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { expandVariables } from './expand-variables.ts'

const env = { A: 'one', B: 'two words', EMPTY: '', PATH: '/usr/bin:/bin' }

test.each([
  '$A',
  '${A}',
  '/opt/bin:$PATH',
  '${A}${B}-$A$B',
  '$A_more and ${A}_more',
  '$UNKNOWN|${UNKNOWN}',
  '${EMPTY:-else}',
  '${A:-else}',
  '${A:+then} ${UNKNOWN:+then}',
  'costs \\$5 and $ 5',
  "it's $A",
  'ends with $',
  '${A',
])('%s becomes what a shell makes of it', (text) => {
  // A brace without its end is an error of the shell; here it stays.
  const expected =
    text === '${A'
      ? text
      : execFileSync('/bin/bash', ['--norc', '-c', `printf %s "${text}"`], { env, encoding: 'utf8' })
  expect(expandVariables(text, env)).toBe(expected)
})

test('runs no commands', () => {
  expect(expandVariables('$(id) `id` $((1+1))', env)).toBe('$(id) `id` $((1+1))')
})

test('names of every object stand for nothing', () => {
  expect(expandVariables('<$constructor${toString}>', env)).toBe('<>')
})

test('values that grow without end are refused', () => {
  const grown = 'x'.repeat(1000)
  expect(expandVariables('$G'.repeat(100), { G: grown })).toHaveLength(100_000)
  expect(expandVariables('$G'.repeat(1000), { G: grown })).toBeUndefined()
})
