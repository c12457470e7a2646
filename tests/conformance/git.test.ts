/** The SDKs' git module runs `git` inside the sandbox; the remote is a daemon in there too. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

const remote = 'git://127.0.0.1/shared.git'

describe.each(sdks)('e2b $version: git', ({ sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 600_000 })
    const { git, commands } = sandbox
    await git.configureUser('Ada', 'ada@example.com')
    await git.init('/home/user/srv/shared.git', { bare: true, initialBranch: 'main' })
    await commands.run('git daemon --export-all --enable=receive-pack --base-path=/home/user/srv', {
      background: true,
      timeoutMs: 0,
    })
    await vi.waitFor(() => commands.run(`git ls-remote ${remote}`), { timeout: 10_000 })
  })
  afterAll(() => sandbox.kill())

  test('init, add, commit, status', proves('git.init', 'git.add', 'git.commit', 'git.status'), async () => {
    const { git, files } = sandbox
    await git.init('work', { initialBranch: 'main' })
    await files.write('work/a.txt', 'one\n')
    expect(await git.status('work')).toMatchObject({ currentBranch: 'main', isClean: false })
    await git.add('work')
    await git.commit('work', 'First')
    expect(await git.status('work')).toMatchObject({ currentBranch: 'main', isClean: true })
    await files.write('work/b.txt', 'two\n')
    await git.add('work', { files: ['b.txt'] })
    const status = await git.status('work')
    expect(status.fileStatus).toMatchObject([{ name: 'b.txt', staged: true }])
  })

  test(
    'reset and restore',
    proves('git.reset', 'git.restore', 'git.configureUser', 'git.setConfig', 'git.getConfig'),
    async () => {
      const { git, files } = sandbox
      await git.reset('work')
      expect((await git.status('work')).fileStatus).toMatchObject([{ name: 'b.txt', staged: false }])
      await files.remove('work/b.txt')
      await files.write('work/a.txt', 'changed\n')
      await git.restore('work', { paths: ['a.txt'] })
      expect(await files.read('work/a.txt')).toBe('one\n')
      expect(await git.getConfig('user.name')).toBe('Ada')
      await git.setConfig('core.editor', 'true', { scope: 'local', path: 'work' })
      expect(await git.getConfig('core.editor', { scope: 'local', path: 'work' })).toBe('true')
      expect(await git.getConfig('none.such')).toBeUndefined()
    },
  )

  test(
    'branches',
    proves('git.branches', 'git.createBranch', 'git.checkoutBranch', 'git.deleteBranch'),
    async () => {
      const { git } = sandbox
      await git.createBranch('work', 'side')
      expect(await git.branches('work')).toMatchObject({
        branches: ['main', 'side'],
        currentBranch: 'side',
      })
      await git.checkoutBranch('work', 'main')
      await git.deleteBranch('work', 'side')
      expect((await git.branches('work')).branches).toEqual(['main'])
    },
  )

  test(
    'a remote: push, clone, pull',
    proves('git.remoteAdd', 'git.remoteGet', 'git.push', 'git.clone', 'git.pull'),
    async () => {
      const { git, files } = sandbox
      await git.remoteAdd('work', 'origin', remote)
      expect(await git.remoteGet('work', 'origin')).toBe(remote)
      expect(await git.remoteGet('work', 'nowhere')).toBeUndefined()
      await git.push('work', { remote: 'origin', branch: 'main' })
      await git.clone(remote, { path: 'copy', depth: 1 })
      expect(await files.read('copy/a.txt')).toBe('one\n')
      await files.write('copy/a.txt', 'two\n')
      await git.add('copy')
      await git.commit('copy', 'Second', { authorName: 'Bob', authorEmail: 'bob@example.com' })
      await git.push('copy')
      await git.pull('work')
      expect(await files.read('work/a.txt')).toBe('two\n')
      expect((await sandbox.commands.run('git -C work log -1 --format=%an')).stdout).toBe('Bob\n')
    },
  )

  test('a remote that refuses', proves('git.clone'), async () => {
    await expect(sandbox.git.clone('git://127.0.0.1/none.git', { path: 'none' })).rejects.toThrow(
      sdk.GitAuthError,
    )
  })

  test('credentials are kept where git looks', proves('git.dangerouslyAuthenticate'), async () => {
    await sandbox.git.dangerouslyAuthenticate({
      username: 'ada',
      password: 's3cret',
      host: 'git.example.com',
    })
    const fill = "printf 'protocol=https\\nhost=git.example.com\\n\\n' | git credential fill"
    expect((await sandbox.commands.run(fill)).stdout).toContain('password=s3cret')
  })
})
