import { describe, expect, test } from 'vitest'
import { commonApi } from './engine.ts'
import { chooseTransport, type EngineInfo } from './fingerprint.ts'
import { jsonLines } from './json-lines.ts'
import { enginePath } from './socket-path.ts'

test.each([
  ['1.41', '1.41'],
  ['1.44', '1.44'],
  ['1.52', '1.47'],
  ['2.0', '1.47'],
])('an engine whose newest API is %s is spoken to in %s', (engine, spoken) => {
  expect(commonApi(engine)).toBe(spoken)
})

test.each(['1.40', '1.9', '0.99'])('an engine with API %s is too old', (engine) => {
  expect(() => commonApi(engine)).toThrow('too old')
})

test.each(['', 'x', '1', '1.4.1', '1.41\n/evil'])('%j is no version of an API', (engine) => {
  expect(() => commonApi(engine)).toThrow('not a Docker engine')
})

describe('transport', () => {
  const info: EngineInfo = {
    operatingSystem: 'Debian GNU/Linux 12 (bookworm)',
    id: 'one',
    osType: 'linux',
    securityOptions: ['name=seccomp,profile=default'],
    versions: {},
    cpuCount: 1,
    memoryMb: 1,
    hasCpuSets: true,
    dataDir: '/var/lib/docker',
  }
  test.each([
    ['root on Linux', info, { platform: 'linux', uid: 0 }, 'unix'],
    [
      'another user on Linux, whose files the root of containers does not own',
      info,
      { platform: 'linux', uid: 1000 },
      'tcp',
    ],
    [
      'a rootless engine',
      { ...info, securityOptions: ['name=rootless'] },
      { platform: 'linux', uid: 1000 },
      'unix',
    ],
    ['Docker Desktop', { ...info, operatingSystem: 'Docker Desktop' }, { platform: 'linux', uid: 0 }, 'tcp'],
    ['macOS', info, { platform: 'darwin', uid: 501 }, 'tcp'],
  ] as const)('%s', (_, engine, host, transport) => {
    expect(chooseTransport({ ...engine, securityOptions: [...engine.securityOptions] }, host)).toBe(transport)
  })
})

test('the engine has to be on this machine', () => {
  expect(enginePath(undefined)).toBe('/var/run/docker.sock')
  expect(enginePath('')).toBe('/var/run/docker.sock')
  expect(enginePath('unix:///run/user/1000/docker.sock')).toBe('/run/user/1000/docker.sock')
  for (const elsewhere of ['tcp://127.0.0.1:2375', 'ssh://host', 'unix://relative', 'nonsense']) {
    expect(() => enginePath(elsewhere)).toThrow('DOCKER_HOST')
  }
})

test('JSON lines come in any pieces', async () => {
  const bytes = Buffer.from('{"a":"ü"}\n\n{"b":2}\r\n{"c":3}')
  for (const size of [1, 2, 3, 7, 100]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    )
    const values: unknown[] = []
    for await (const value of jsonLines(fromPieces(pieces))) values.push(value)
    expect(values).toEqual([{ a: 'ü' }, { b: 2 }, { c: 3 }])
  }
})

test('a line without end is refused', async () => {
  const endless = fromPieces(Array.from({ length: 20 }, () => Buffer.alloc(1 << 17, 'x')))
  await expect(jsonLines(endless).next()).rejects.toThrow('too long')
})

async function* fromPieces(pieces: Buffer[]) {
  yield* pieces
}
