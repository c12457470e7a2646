import { existsSync, readFileSync, rmSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { budgetMs, fuzz } from './fuzz.ts'
import { decodeInput, encodeInput } from './inputs.ts'

const thrownBy = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: Error) => error,
  )

test('a finding is the smallest input, with a file and the commands to repeat and keep it', async () => {
  const check = (input: number) => {
    if (input > 1000) throw new Error('too large')
  }
  const error = await thrownBy(fuzz({ name: 'harness', input: fc.nat(), check }))
  expect(error?.message).toContain('harness: Error: too large\ninput: 1001\n')
  expect(error?.message).toMatch(/E2B_FUZZ_SEED=\d+ npm test/)
  const file = /cp (\S+) tests\/fuzz\/corpus\/harness\//.exec(error?.message ?? '')?.[1] ?? ''
  expect(decodeInput(readFileSync(file, 'utf8'))).toBe(1001)
  rmSync(file)
})

test('what fails only after the budget has ended is found all the same', async () => {
  const check = () =>
    new Promise<void>((_, reject) => setTimeout(() => reject(new Error('late')), budgetMs + 500))
  const error = await thrownBy(fuzz({ name: 'harness', input: fc.constant('only'), check }))
  expect(error?.message).toContain("harness: Error: late\ninput: 'only'")
  expect(existsSync('tests/fuzz/corpus/harness')).toBe(false)
})

test('inputs are kept as they are', () => {
  const input = { text: 'ü\0', bytes: [Buffer.from('plain\r\n'), Buffer.from([0, 255])], none: null }
  expect(decodeInput(encodeInput(input))).toEqual(input)
  expect(encodeInput(input)).toContain('"$ascii": "plain\\r\\n"')
})
