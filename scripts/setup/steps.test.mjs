import { expect, test } from 'vitest'
import { purposeOf } from './purpose-of.mjs'
import { purposes, stepsFor } from './steps.mjs'

const names = (purpose) => stepsFor(purpose).map((step) => step.name)

test('commands that start nothing need neither Docker nor a compiler', () => {
  expect(names('cli')).toEqual(['Node.js 20.19 or newer', 'node modules', 'server bundle'])
})

test('a server without Docker needs the agent but no image', () => {
  expect(names('local')).toContain('guest agent')
  expect(names('local')).not.toContain('Docker engine')
  expect(names('local')).not.toContain('network rules')
  expect(names('local')).not.toContain('base image')
})

test('each step comes after those it relies on', () => {
  for (const purpose of purposes) {
    const order = names(purpose)
    const expected = ['Node.js 20.19 or newer', 'node modules', 'server bundle', 'guest agent', 'base image']
    expect(expected.filter((name) => order.includes(name))).toEqual(
      order.filter((name) => expected.includes(name)),
    )
    if (order.includes('base image'))
      expect(order.indexOf('Docker engine')).toBeLessThan(order.indexOf('base image'))
    if (order.includes('guest agent'))
      expect(order.indexOf('Rust toolchain')).toBeLessThan(order.indexOf('guest agent'))
  }
})

test.each([
  [['start'], {}, 'start'],
  [['start', '--port', '4000'], {}, 'start'],
  [[], {}, 'cli'],
  [['--port', '4000'], {}, 'cli'],
  [['stop'], {}, 'cli'],
  [['start', '--runtime', 'process'], {}, 'local'],
  [['start', '--runtime=process'], {}, 'local'],
  [['start'], { E2B_SERVER_RUNTIME: 'process' }, 'local'],
  [['start', '--runtime', 'docker'], { E2B_SERVER_RUNTIME: 'process' }, 'start'],
  [['bench', '--quick'], {}, 'start'],
  [['bench', '--runtime', 'process'], {}, 'local'],
  [['bench', '--url', 'http://localhost:3000'], {}, 'cli'],
  [['bench', '--url=http://localhost:3000'], {}, 'cli'],
  [['env'], {}, 'cli'],
  [['env', 'start'], {}, 'cli'],
  [['start', '--help'], {}, 'cli'],
  [['--version'], {}, 'cli'],
])('%j with %j is for %s', (args, env, purpose) => {
  expect(purposeOf(args, env)).toBe(purpose)
})
