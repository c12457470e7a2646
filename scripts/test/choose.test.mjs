import { expect, test } from 'vitest'
import { choose } from './choose.mjs'
import { suites } from './suites.mjs'

const named = (...args) => {
  const { chosen, ...rest } = choose(args, suites)
  return { names: chosen.map(({ name }) => name), ...rest }
}
const all = suites.map(({ name }) => name)

test('all of them, unless some are named', () => {
  expect(named()).toEqual({ names: all, isWhole: false, isDeep: false })
  expect(named('--only', 'unit,lint')).toEqual({ names: ['lint', 'unit'], isWhole: false, isDeep: false })
  expect(new Set(all).size).toBe(all.length)
})

test('a mode is whole, and so is all of a deep run', () => {
  const inDomain = ['stock-domain', 'conformance-domain']
  expect(named('--mode', 'domain')).toEqual({ names: inDomain, isWhole: true, isDeep: false })
  expect(named('--mode', 'all')).toEqual({ names: all, isWhole: true, isDeep: false })
  expect(named('--deep', '--only', 'model')).toEqual({ names: ['model'], isWhole: true, isDeep: true })
})

test('what isn’t known is refused with what is', () => {
  expect(() => named('--only', 'unit,units')).toThrow(/Unknown: units\. Known are: .*unit, /)
  expect(() => named('--mode', 'head')).toThrow('Unknown: head. Known are: header, domain, debug, all.')
  expect(() => named('--onyl', 'unit')).toThrow()
})
