/** A server that root has started for an ordinary user: `start --user`. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { afterAll, expect, test } from 'vitest'

const program = join(import.meta.dirname, '../../scripts/e2b-server.mjs')
/** Debian's user of nobody's files */
const [name, uid] = ['nobody', 65534]
const timeout = 120_000
const folder = mkdtempSync(join(tmpdir(), 'e2b-user-'))
execFileSync('chmod', ['755', folder])
const [stateDir, hostRoot] = [join(folder, 'state'), join(folder, 'host')]
afterAll(() => rmSync(folder, { recursive: true }))

function start(...more: string[]) {
  const own = ['--state-dir', stateDir, '--host-root', hostRoot, '--port', '0', '--debug-port', '0']
  const child = spawn(process.execPath, [program, 'start', ...own, '--user', name, ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, E2B_SERVER_RUNTIME: 'native', E2B_SERVER_LOG_LEVEL: 'warn' },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text))
  const ended = once(child, 'close').then(() => ({ status: child.exitCode, said }))
  return {
    child,
    ended,
    /** The API's address; what it has said when it ends without. */
    url: () =>
      Promise.race([
        expect
          .poll(() => /answers on (\S+)/.exec(said)?.[1], { timeout, interval: 50 })
          .toBeDefined()
          .then(() => /answers on (\S+)/.exec(said)![1]!),
        ended.then(() => Promise.reject(new Error(said))),
      ]),
  }
}

const infoOf = () => JSON.parse(readFileSync(join(stateDir, 'server.json'), 'utf8')) as { pid: number }
const statusOf = (pid: number) => readFileSync(`/proc/${pid}/status`, 'utf8')
/** Real, effective, saved and file system ids, and other groups */
const idsOf = (pid: number) =>
  ['Uid', 'Gid', 'Groups'].map((field) =>
    (new RegExp(`^${field}:(.*)$`, 'm').exec(statusOf(pid))?.[1] ?? '?')
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map(Number),
  )
const childrenOf = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
const helperPid = () =>
  readdirSync('/proc')
    .map(Number)
    .find((pid) => {
      const path = `/proc/${pid}/cmdline`
      const args = pid > 0 && existsSync(path) ? readFileSync(path, 'utf8') : ''
      return (
        args.includes(`\0${hostRoot}\0`) &&
        args.includes('/e2b-host\0serve\0') &&
        statusOf(pid).includes('Uid:\t0\t')
      )
    })

test('the server and its workers are that user’s, the helper is root’s, and sandboxes live through all of their restarts', {
  timeout: 3 * timeout,
}, async () => {
  const first = start()
  const url = await first.url()
  const options = () => ({ apiKey: readFileSync(join(stateDir, 'api-key'), 'utf8').trim() })
  const at = (apiUrl: string) => ({ ...options(), apiUrl, sandboxUrl: apiUrl })
  const { pid } = infoOf()
  expect(pid).not.toBe(first.child.pid)
  const workers = childrenOf(pid).filter((each) =>
    readFileSync(`/proc/${each}/cmdline`, 'utf8').includes('data-worker'),
  )
  expect(workers.length).toBeGreaterThan(0)
  for (const each of [pid, ...workers])
    expect(idsOf(each)).toEqual([Array(4).fill(uid), Array(4).fill(uid), []])
  expect(statSync(stateDir).uid).toBe(uid)
  for (const each of readdirSync(stateDir)) expect(statSync(join(stateDir, each)).uid, each).toBe(uid)

  const sandbox = await Sandbox.create(at(url))
  expect((await sandbox.commands.run('echo $((6*7)) > kept; whoami')).stdout).toBe('user\n')
  await sandbox.pause()
  await Sandbox.connect(sandbox.sandboxId, at(url))
  expect((await sandbox.commands.run('cat kept')).stdout).toBe('42\n')

  // Only root can start it again.
  const helper = helperPid()!
  process.kill(helper, 'SIGKILL')
  await expect.poll(helperPid, { timeout, interval: 50 }).not.toBe(helper)
  await expect
    .poll(
      () =>
        sandbox.commands.run('cat kept').then(
          ({ stdout }) => stdout,
          () => '',
        ),
      { timeout, interval: 200 },
    )
    .toBe('42\n')

  first.child.kill('SIGTERM')
  expect(await first.ended).toMatchObject({ status: 0, said: expect.stringContaining('1 sandbox') })
  const second = start()
  const there = await second.url()
  const again = await Sandbox.connect(sandbox.sandboxId, at(there))
  expect((await again.commands.run('cat kept')).stdout).toBe('42\n')
  // Its server doesn't outlive what has started it.
  const server = infoOf().pid
  second.child.kill('SIGKILL')
  await expect.poll(() => existsSync(`/proc/${server}`), { timeout, interval: 50 }).toBe(false)

  const third = start('--destroy-on-exit')
  const last = await third.url()
  expect(await Sandbox.kill(sandbox.sandboxId, at(last))).toBe(true)
  third.child.kill('SIGINT')
  expect(await third.ended).toMatchObject({
    status: 0,
    said: expect.stringContaining('No sandboxes are left'),
  })
  expect(helperPid()).toBeUndefined()
})

test.each([
  [['--user', 'no-such-user-here'], 'has no such user'],
  [['--user', 'root'], 'is root'],
  [['--user', '-g'], 'must be the name of a user'],
  [['--runtime', 'docker'], "Docker engine's socket is as good as root"],
  [['--runtime', 'process'], 'without isolation'],
])('%j is refused: %s', { timeout }, async (flags, reason) => {
  const { status, said } = await start(...flags).ended
  expect({ status, said }).toEqual({ status: 1, said: expect.stringContaining(reason) })
})

test('a state directory with files of others, or a link to one, is refused and left as it is', {
  timeout,
}, async () => {
  const other = join(folder, 'other')
  mkdirSync(other)
  writeFileSync(join(other, 'file'), 'mine')
  execFileSync('ln', ['-s', other, join(folder, 'link')])
  for (const place of ['other', 'link']) {
    const { status, said } = await start('--state-dir', join(folder, place)).ended
    expect({ status, said }).toEqual({ status: 1, said: expect.stringContaining(`can't be ${name}'s`) })
  }
  expect([statSync(other).uid, statSync(join(other, 'file')).uid]).toEqual([0, 0])
  expect(readdirSync(other)).toEqual(['file'])
})
