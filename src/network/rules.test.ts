import { expect, test } from 'vitest'
import { boundsFor, chainSizes, instanceRules } from './rules.ts'

const subject = {
  table: 't',
  bridge: 'br-0',
  subnet: '10.0.0.0/16',
  resolvers: [],
  allow: [],
  agentPort: 1,
  bounds: boundsFor(65_536),
}

test('the rules of each chain are counted, whatever the rules are for', () => {
  const text = instanceRules(subject)
  const sizes = chainSizes(text)
  expect([...sizes.keys()].sort()).toEqual(
    ['bounded', 'forward', 'from_host', 'input', 'inwards', 'output', 'outwards', 'to_host'].sort(),
  )
  expect(sizes.get('inwards')).toBe(2)
  expect(chainSizes(instanceRules({ ...subject, resolvers: ['10.0.0.53'], allow: ['10.1.0.0/16'] }))).toEqual(
    sizes,
  )
  expect(chainSizes(text.replace('    drop\n', '')).get('inwards')).toBe(1)
})
