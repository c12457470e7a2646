import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isWorthUsing, purposeOf } from './purpose-of.mjs'
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

test('a server without an engine needs all but that', () => {
  expect(names('native')).toEqual(names('docker').filter((name) => name !== 'Docker engine'))
})

test('each step comes after those it relies on', () => {
  for (const purpose of purposes) {
    const order = names(purpose)
    const expected = ['Node.js 20.19 or newer', 'node modules', 'server bundle', 'guest agent', 'base image']
    expect(expected.filter((name) => order.includes(name))).toEqual(
      order.filter((name) => expected.includes(name)),
    )
    if (order.includes('Docker engine'))
      expect(order.indexOf('Docker engine')).toBeLessThan(order.indexOf('base image'))
    if (order.includes('guest agent'))
      expect(order.indexOf('Rust toolchain')).toBeLessThan(order.indexOf('guest agent'))
  }
})

test.each([
  [['start'], {}, 'native'],
  [['start', '--port', '4000'], {}, 'native'],
  [['start', '--runtime', 'auto'], { E2B_SERVER_RUNTIME: 'docker' }, 'native'],
  [[], {}, 'cli'],
  [['--port', '4000'], {}, 'cli'],
  [['stop'], {}, 'cli'],
  [['start', '--runtime', 'process'], {}, 'local'],
  [['start', '--runtime=process'], {}, 'local'],
  [['start'], { E2B_SERVER_RUNTIME: 'process' }, 'local'],
  [['start', '--runtime', 'docker'], { E2B_SERVER_RUNTIME: 'process' }, 'docker'],
  [['start'], { E2B_SERVER_RUNTIME: 'native' }, 'native'],
  [['bench', '--quick'], {}, 'native'],
  [['bench', '--runtime', 'process'], {}, 'local'],
  [['bench', '--url', 'http://localhost:3000'], {}, 'cli'],
  [['bench', '--url=http://localhost:3000'], {}, 'cli'],
  [['env'], {}, 'cli'],
  [['env', 'start'], {}, 'cli'],
  [['start', '--help'], {}, 'cli'],
  [['--version'], {}, 'cli'],
])('%j with %j is for %s, where there is no Docker', async (args, env, purpose) => {
  expect(await purposeOf(args, env, async () => false)).toBe(purpose)
})

test('an engine that is only installed is started for servers that have had containers, and to measure beside it', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'e2b-setup-'))
  const isInstalled = async (_env, isWorthStarting) => isWorthStarting
  const start = ['start', '--state-dir', stateDir]
  expect(await purposeOf(start, {}, isInstalled)).toBe('native')
  expect(await purposeOf(['bench'], { E2B_SERVER_STATE_DIR: stateDir }, isInstalled)).toBe('docker')
  mkdirSync(join(stateDir, 'run'))
  expect(await purposeOf(start, {}, isInstalled)).toBe('docker')
  expect(await purposeOf(['start'], { E2B_SERVER_STATE_DIR: stateDir }, isInstalled)).toBe('docker')
  expect(await purposeOf([...start, '--runtime', 'native'], {}, isInstalled)).toBe('native')
  rmSync(stateDir, { recursive: true })
})

test('Docker is made use of where it is', async () => {
  expect(await purposeOf(['start'], {}, async () => true)).toBe('docker')
  expect(await purposeOf(['start', '--runtime', 'native'], {}, async () => true)).toBe('native')
  expect(await purposeOf(['bench', '--runtime', 'native'], {}, async () => true)).toBe('docker')
  // Whoever names an engine wants it, also one that doesn't answer.
  expect(await purposeOf(['start'], { DOCKER_HOST: 'unix:///none' })).toBe('docker')
})

test.each([
  // state, isWorthStarting, hasEngine, hasCommand, expected
  ['up', false, true, true, true],
  ['up', false, true, false, false],
  ['up', false, false, false, false],
  ['forbidden', false, true, true, false],
  ['down', false, true, true, false],
  ['up', true, false, false, true],
  ['forbidden', true, true, false, true],
  ['down', true, true, false, true],
  ['down', true, false, true, false],
])(
  'an engine that is %s (worth starting %s, engine %s, command line %s) is made use of: %s',
  (state, isWorthStarting, hasEngine, hasCommand, expected) => {
    expect(isWorthUsing({ state, isWorthStarting, hasEngine, hasCommand })).toBe(expected)
  },
)
