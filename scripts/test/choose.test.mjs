import { expect, test } from 'vitest'
import { choose } from './choose.mjs'
import { suites } from './suites.mjs'

const named = (...args) => {
  const { chosen, ...rest } = choose(args, suites)
  return { names: chosen.map(({ name }) => name), ...rest }
}
const all = suites.map(({ name }) => name)
const usual = suites.filter(({ isDeepOnly }) => !isDeepOnly).map(({ name }) => name)

test('all of them, unless some are named', () => {
  expect(named()).toEqual({ names: usual, isWhole: false, isDeep: false })
  expect(usual).toContainEqual(expect.stringMatching(/^conformance-on-/))
  expect(named('--only', 'unit,lint')).toEqual({ names: ['lint', 'unit'], isWhole: false, isDeep: false })
  expect(new Set(all).size).toBe(all.length)
})

test('a mode is whole, and so is all of a deep run', () => {
  const inDomain = ['conformance-domain', 'stock-domain']
  expect(named('--mode', 'domain')).toEqual({ names: inDomain, isWhole: true, isDeep: false })
  expect(named('--mode', 'all')).toEqual({ names: usual, isWhole: true, isDeep: false })
  expect(named('--deep')).toEqual({ names: all, isWhole: true, isDeep: true })
  expect(named('--deep', '--only', 'model')).toEqual({ names: ['model'], isWhole: true, isDeep: true })
})

test('every suite about whole servers can run on the other runtime, in deep runs all do', () => {
  expect(all.filter((name) => /-on-(docker|native)$/.test(name)).length).toBe(9)
  const [one] = all.filter((name) => name.startsWith('chaos-on-'))
  expect(named('--only', one).names).toEqual([one])
})

test('what isn’t known is refused with what is', () => {
  expect(() => named('--only', 'unit,units')).toThrow(/Unknown: units\. Known are: .*unit, /)
  expect(() => named('--mode', 'head')).toThrow('Unknown: head. Known are: header, domain, debug, all.')
  expect(() => named('--onyl', 'unit')).toThrow()
})
