/** Archives that the system's tar makes, against the real agent. */
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../tests/support/agent.ts'
import { ensureUser } from './ensure-user.ts'
import type { Guest } from './guest.ts'
import { type UnpackRequest, unpack } from './unpack.ts'

const never = new AbortController().signal

let agent: TestAgent
let guest: Guest

beforeAll(async () => {
  agent = await startAgent()
  guest = agent.guest
  await mkdir(at('context/src/deep'), { recursive: true })
  await writeFile(at('context/src/deep/ä b.txt'), 'text')
  await writeFile(at('context/src/large'), Buffer.alloc(3_000_000, 'x'))
  await utimes(at('context/src/large'), 1_500_000_000.25, 1_500_000_000.25)
  await symlink('missing', at('context/src/link'))
})

afterAll(() => agent?.[Symbol.asyncDispose]())

const at = (name: string) => join(agent.folder, name)
const tar = (...args: string[]) => spawn('tar', ['-C', at('context'), '-c', ...args]).stdout
const copy = (request: Partial<UnpackRequest> & { dest: string }, archive: AsyncIterable<Uint8Array>) =>
  unpack(guest, { src: 'src', maxBytes: 10_000_000, maxEntries: 100, ...request }, archive, never)

it.each([
  ['plain', []],
  ['pax', ['--format=pax']],
  ['gzip', ['-z']],
])('unpacks what tar makes: %s', async (name, options) => {
  const dest = at(`to/${name}`)
  expect(await copy({ dest }, tar(...options, 'src'))).toEqual({ files: 3, bytes: 3_000_004 })
  expect((await readdir(dest)).sort()).toEqual(['deep', 'large', 'link'])
  expect(await readFile(join(dest, 'deep/ä b.txt'), 'utf8')).toBe('text')
  // Only one of the formats has fractions of seconds.
  expect((await stat(join(dest, 'large'))).mtimeMs).toBe(
    name === 'pax' ? 1_500_000_000_250 : 1_500_000_000_000,
  )
  await copy({ dest: 'one/', src: 'src/deep/*.txt', cwd: dest, mode: '600' }, tar('src'))
  expect((await stat(join(dest, 'one/ä b.txt'))).mode & 0o777).toBe(0o600)
})

it('refuses with a sentence, however much is being sent', async () => {
  const endless = async function* () {
    for await (const bytes of tar('src')) yield bytes as Buffer
    for (;;) yield Buffer.alloc(65_536)
  }
  const outcome = copy({ dest: at('bounded'), maxBytes: 1000 }, endless())
  await expect(outcome).rejects.toMatchObject({
    code: 'resource_exhausted',
    message: "The archive has more than 1000 bytes: 'src/large'.",
  })
  await expect(copy({ dest: at('none'), src: 'other' }, tar('src'))).rejects.toMatchObject({
    code: 'not_found',
    message: "Nothing that was uploaded is named by 'other'.",
  })
  const owner = copy({ dest: at('owned'), user: 'root123' }, tar('src'))
  await expect(owner).rejects.toMatchObject({
    code: 'unauthenticated',
    message: "invalid username: 'root123'",
  })
  expect((await readdir(agent.folder)).filter((name) => name.startsWith('.e2b-unpack'))).toEqual([])
})

it('passes on what the source throws, and undoes what it had begun', async () => {
  const failing = async function* () {
    yield Buffer.alloc(100)
    throw new RangeError('source')
  }
  await expect(copy({ dest: at('cut') }, failing())).rejects.toThrow(RangeError)
  await expect.poll(() => readdir(agent.folder)).not.toContain('cut')
})

it('takes as an account only what can be one', async () => {
  // Root's own is there on every machine; nothing is changed.
  const outcome = ensureUser(guest, { name: 'root' }, never)
  if (process.getuid?.() === 0) expect(await outcome).toMatchObject({ user: 'root', uid: 0, created: false })
  else await expect(outcome).rejects.toMatchObject({ code: 'failed_precondition' })
  await expect(ensureUser(guest, { name: 'a:b' }, never)).rejects.toMatchObject({
    code: expect.stringMatching(/invalid_argument|failed_precondition/),
  })
})
