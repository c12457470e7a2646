import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
let folder: string
let program: string

/** Waits for a listener that comes later, in a process of its own, and says what it found. */
const source = `
import { createServer } from 'node:net'
import { watch } from 'node:fs'
import { awaitListener } from './pinned-socket.ts'
let failure = 'none'
try { watch(process.argv[2]).close() } catch (error) { failure = error.code }
const path = process.argv[2] + '/' + process.pid + '.sock'
const found = awaitListener(path, AbortSignal.timeout(15_000))
const server = createServer((socket) => socket.end()).listen(path)
await (await found).close()
server.close()
console.log('found, watch: ' + failure)
`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'watch-'))
  program = join(folder, 'await.mjs')
  const stdin = { contents: source, resolveDir: import.meta.dirname, loader: 'ts' } as const
  await build({ stdin, bundle: true, platform: 'node', format: 'esm', outfile: program })
})
afterAll(() => rm(folder, { recursive: true }))

describe.runIf(process.platform === 'linux')('a listener is awaited', () => {
  test('with the events of the kernel', async () => {
    const { stdout } = await run(process.execPath, [program, folder])
    expect(stdout).toBe('found, watch: none\n')
  })

  // A name space of users has limits of its own, so nobody else's watches are taken.
  test.each([
    ['instances', 'EMFILE'],
    ['watches', 'ENOSPC'],
  ])('when no inotify %s are left', async (what, code) => {
    const command = `echo 0 > /proc/sys/user/max_inotify_${what} && exec "$@"`
    const args = ['-Ur', 'sh', '-c', command, 'sh', process.execPath, program, folder]
    const { stdout } = await run('unshare', args)
    expect(stdout).toBe(`found, watch: ${code}\n`)
  })
})
