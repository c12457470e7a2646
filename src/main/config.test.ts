import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigError, readConfig } from './config.ts'
import { connectionBounds, openFilesMax } from './descriptors.ts'

test('defaults', () => {
  expect(readConfig({}, {})).toMatchObject({
    host: '127.0.0.1',
    port: 3000,
    debugPort: 49983,
    runtime: 'auto',
    dockerTransport: 'auto',
    tls: false,
    maxConnections: connectionBounds(openFilesMax()).sandbox,
    destroyOnExit: false,
  })
})

test('limits are off until they are set; hours become seconds', () => {
  const { limits, keepFree, startWaitS, maxStarting } = readConfig({}, {})
  expect(Object.values(limits)).toEqual([null, null, null, null, null])
  expect(keepFree).toEqual({ memoryMb: null, diskMb: 1024 })
  expect(startWaitS).toBe(50)
  expect(maxStarting).toBeGreaterThanOrEqual(4)
  const env = { E2B_SERVER_LIMIT_SANDBOXES: '20', E2B_SERVER_LIMIT_VCPU: 'unlimited' }
  expect(readConfig({ maxLifetimeHours: '1.5', limitCreatesPerSecond: '0.5' }, env).limits).toEqual({
    runningSandboxes: 20,
    vcpu: null,
    memoryMb: null,
    createsPerSecond: 0.5,
    lifetimeS: 5400,
  })
})

test('the helper’s directory is absolute, and PATH is there also where the environment has none', () => {
  expect(readConfig({}, {})).toMatchObject({ path: expect.stringContaining('/usr/sbin') })
  expect(readConfig({}, {}).hostRoot).toBeUndefined()
  const env = { PATH: '/opt/bin', E2B_SERVER_HOST_ROOT: 'helper', E2B_SERVER_RUNTIME: 'native' }
  expect(readConfig({}, env)).toMatchObject({
    path: '/opt/bin',
    hostRoot: resolve('helper'),
    runtime: 'native',
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
  [{ domain: 'local' }, '--domain'],
  [{ domain: '127.0.0.1' }, '--domain'],
  [{ domain: 'e2b.local:0' }, '--domain'],
  [{ domain: `${'a.'.repeat(100)}b` }, '--domain'],
  [{ tls: true }, '--tls needs --domain'],
  [{ domain: 'e2b.local', tlsCert: '/x' }, 'the key is missing'],
  [{ domain: 'e2b.local', tlsKey: '/x' }, 'the certificate is missing'],
  [{ dns: '127.0.0.1:53' }, '--dns needs --domain'],
  [{ domain: 'e2b.local', dns: '0.0.0.0:53' }, '--dns'],
  [{ domain: 'e2b.local', dns: 'localhost:53' }, '--dns'],
  [{ domain: 'e2b.local', dns: '127.0.0.1:70000' }, '--dns'],
  [{ maxConnections: '0' }, '--max-connections'],
  [{ limitSandboxes: '0' }, '--limit-sandboxes'],
  [{ limitVcpu: '0.5' }, '--limit-vcpu'],
  [{ limitMemoryMb: 'x' }, '--limit-memory-mb'],
  [{ maxLifetimeHours: '-1' }, '--max-lifetime-hours'],
  [{ maxStarting: '1.5' }, '--max-starting'],
  [{ startWait: '601' }, '--start-wait'],
  [{ otlpEndpoint: 'ftp://x' }, '--otlp-endpoint'],
  [{ readyWait: '0' }, '--ready-wait'],
  [{ minFreeDiskMb: '0' }, '--min-free-disk-mb'],
])('%j is refused by name', (flags, name) => {
  expect(() => readConfig(flags, {})).toThrow(ConfigError)
  expect(() => readConfig(flags, {})).toThrow(name)
})

test('names', () => {
  expect(readConfig({ domain: 'E2B.local', tls: true, dns: '127.0.0.1' }, {})).toMatchObject({
    domain: { name: 'e2b.local', publicPort: undefined },
    tls: true,
    port: 443,
    dns: { address: '127.0.0.1', port: 53 },
  })
  const files = {
    domain: 'example.com:8443',
    tlsCert: '/cert',
    tlsKey: '/key',
    port: '5000',
    dns: '[::1]:5353',
  }
  expect(readConfig(files, {})).toMatchObject({
    domain: { name: 'example.com', publicPort: 8443 },
    tls: true,
    port: 5000,
    dns: { address: '::1', port: 5353 },
  })
})

test('what sandboxes and webhooks may reach is closed until ranges are opened', () => {
  expect(readConfig({}, {})).toMatchObject({ openEgress: false, egressAllow: [], webhookAllow: [] })
  const env = { E2B_SERVER_EGRESS_ALLOW: '10.0.0.0/8, 192.168.1.1', E2B_SERVER_OPEN_EGRESS: '1' }
  expect(readConfig({ webhookAllow: '::1,127.0.0.0/8' }, env)).toMatchObject({
    openEgress: true,
    egressAllow: ['10.0.0.0/8', '192.168.1.1'],
    webhookAllow: ['::1', '127.0.0.0/8'],
  })
  expect(() => readConfig({ egressAllow: 'fd00::/8' }, {})).toThrow(/--egress-allow.*IPv4/)
  for (const text of ['10.0.0.0/33', 'localhost', '10.0.0.0/8; drop'])
    expect(() => readConfig({ egressAllow: text }, {})).toThrow(/--egress-allow must be ranges/)
  expect(() => readConfig({ openEgress: 'perhaps' }, {})).toThrow(ConfigError)
})

test('disks are limited where the machine can, unless a flag or its variable says so', () => {
  expect(readConfig({}, {}).limitDisk).toBe('auto')
  expect(readConfig({ limitDisk: true }, {}).limitDisk).toBe(true)
  expect(readConfig({ limitDisk: false }, { E2B_SERVER_LIMIT_DISK: 'true' }).limitDisk).toBe(false)
  const said = (text: string) => readConfig({}, { E2B_SERVER_LIMIT_DISK: text }).limitDisk
  expect(['1', 'true', '0', 'false', 'auto', ''].map(said)).toEqual([
    true,
    true,
    false,
    false,
    'auto',
    'auto',
  ])
  expect(() => readConfig({}, { E2B_SERVER_LIMIT_DISK: 'yes' })).toThrow(/^--limit-disk is a flag/)
})

test("registries: a mirror in Docker Hub's place, or none at all", () => {
  expect(readConfig({}, {})).toMatchObject({ offline: false, imagesFromEngine: false })
  expect(readConfig({ imagesFromEngine: true }, {}).imagesFromEngine).toBe(true)
  expect(readConfig({}, {}).registryMirror).toBeUndefined()
  const env = { E2B_SERVER_REGISTRY_MIRROR: 'mirror.example.org:5000/hub', E2B_SERVER_OFFLINE: 'true' }
  expect(readConfig({}, env)).toMatchObject({ registryMirror: 'mirror.example.org:5000/hub', offline: true })
  for (const registryMirror of ['https://mirror.example.org', 'mirror/', 'a b', '/x'])
    expect(() => readConfig({ registryMirror }, {})).toThrow(/--registry-mirror must be a host/)
})

test('variables of builds have their values from the flag or from the server, and are checked', () => {
  expect(readConfig({}, {}).buildEnv).toEqual({})
  const own = { NPM_TOKEN: 'own', E2B_SERVER_BUILD_ENV: 'A=from the variable\nB=x,y=z\n\n' }
  expect(readConfig({}, own).buildEnv).toEqual({ A: 'from the variable', B: 'x,y=z' })
  expect(readConfig({ buildEnv: 'NPM_TOKEN\nEMPTY=' }, own).buildEnv).toEqual({ NPM_TOKEN: 'own', EMPTY: '' })
  for (const [buildEnv, reason] of [
    ['NOWHERE', /--build-env NOWHERE: the server has no such variable/],
    ['1A=x', /--build-env must be NAME=VALUE/],
    ['=x', /--build-env must be NAME=VALUE/],
    [`A=secret${'x'.repeat(9000)}`, /^--build-env A: its value is longer than 8192 characters\.$/],
    ['A=a\x1bb', /--build-env A: its value has control characters/],
    [Array.from({ length: 65 }, (_, index) => `A${index}=`).join('\n'), /can be given 64 times/],
  ] as const)
    expect(() => readConfig({ buildEnv }, {})).toThrow(reason)
})
