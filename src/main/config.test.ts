import { expect, test } from 'vitest'
import { ConfigError, readConfig } from './config.ts'

test('defaults', () => {
  expect(readConfig({}, {})).toMatchObject({
    host: '127.0.0.1',
    port: 3000,
    debugPort: 49983,
    runtime: 'auto',
    dockerTransport: 'auto',
    destroyOnExit: false,
  })
})

test('a flag wins over its variable, a variable over the default', () => {
  const env = { E2B_SERVER_PORT: '4000', E2B_SERVER_RUNTIME: 'docker' }
  expect(readConfig({ port: '5000' }, env)).toMatchObject({ port: 5000, runtime: 'docker' })
})

test.each([
  [{ port: '65536' }, '--port'],
  [{ port: 'x' }, '--port'],
  [{ debugPort: '-1' }, '--debug-port'],
  [{ runtime: 'vm' }, '--runtime'],
  [{ logLevel: 'loud' }, '--log-level'],
])('%j is refused by name', (flags, name) => {
  expect(() => readConfig(flags, {})).toThrow(ConfigError)
  expect(() => readConfig(flags, {})).toThrow(name)
})
