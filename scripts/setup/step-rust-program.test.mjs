import { expect, test } from 'vitest'
import { builtProgram } from './step-rust-program.mjs'

test('cargo’s messages say where the program is', () => {
  const messages = [
    '{"reason":"compiler-artifact","target":{"name":"libc"},"executable":null}',
    '{"reason":"compiler-artifact","target":{"name":"e2b-guest"},"executable":"/with space/\\"q\\"/e2b-guest"}',
    '{"reason":"build-finished","success":true}',
  ]
  expect(builtProgram(messages)).toBe('/with space/"q"/e2b-guest')
  expect(() => builtProgram(messages.slice(0, 1))).toThrow('does not say where')
})
