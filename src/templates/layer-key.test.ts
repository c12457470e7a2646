import { expect, test } from 'vitest'
import type { BuildStep } from '../domain/template-builder.ts'
import { layerKey } from './layer-key.ts'

const state = { env: { A: '1', B: '2' }, user: 'user', workdir: '/home/user' }
const step: BuildStep = { type: 'RUN', command: 'make', user: null, force: false }
const source = { image: 'e2b-server/template:one', state, step }
const key = layerKey('docker', source)

test('the order of variables and force change nothing', () => {
  expect(key).toMatch(/^[0-9a-f]{64}$/)
  expect(layerKey('docker', { ...source, state: { ...state, env: { B: '2', A: '1' } } })).toBe(key)
  expect(layerKey('docker', { ...source, step: { ...step, force: true } })).toBe(key)
})

test.each([
  ['the image', { ...source, image: 'e2b-server/template:two' }],
  ['a variable', { ...source, state: { ...state, env: { A: '1', B: '3' } } }],
  [
    'a variable that is called as a member of ours',
    { ...source, state: { ...state, env: { ...state.env, force: '1' } } },
  ],
  ['the user', { ...source, state: { ...state, user: 'root' } }],
  ['the working directory', { ...source, state: { ...state, workdir: null } }],
  ['the command', { ...source, step: { ...step, command: 'make all' } }],
  ["the command's user", { ...source, step: { ...step, user: 'root' } }],
])('%s changes it', (_what, other) => {
  expect(layerKey('docker', other)).not.toBe(key)
})

test('runtimes have layers of their own', () => {
  expect(layerKey('process', source)).not.toBe(key)
})
