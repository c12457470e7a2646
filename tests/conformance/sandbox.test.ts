import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(sdks)(
  'e2b $version: Sandbox',
  ({ sdk: { Sandbox, Template, SandboxNotFoundError, NotFoundError, AuthenticationError } }) => {
    test(
      'create, getInfo, isRunning, kill',
      proves('Sandbox.create', 'sandbox.getInfo', 'sandbox.isRunning', 'Sandbox.kill', 'Sandbox.getInfo'),
      async () => {
        const sandbox = await Sandbox.create({ metadata: { purpose: 'info' }, timeoutMs: 120_000 })
        expect(sandbox.sandboxId).toMatch(/^i[a-z0-9]{20}$/)
        expect(await sandbox.isRunning()).toBe(true)

        const info = await sandbox.getInfo()
        expect(info).toMatchObject({
          sandboxId: sandbox.sandboxId,
          templateId: 'base',
          name: 'base',
          state: 'running',
        })
        expect(info.metadata).toEqual({ purpose: 'info' })
        expect(info.cpuCount).toBe(2)
        expect(info.memoryMB).toBe(512)
        expect(info.endAt.getTime() - info.startedAt.getTime()).toBe(120_000)

        expect(await Sandbox.kill(sandbox.sandboxId)).toBe(true)
        expect(await sandbox.isRunning()).toBe(false)
        expect(await Sandbox.kill(sandbox.sandboxId)).toBe(false)
        await expect(Sandbox.getInfo(sandbox.sandboxId)).rejects.toThrow(NotFoundError)
      },
    )

    test(
      'the same of an object as by id',
      proves('sandbox.connect', 'sandbox.kill', 'sandbox.getHost', 'Sandbox.getFullInfo'),
      async () => {
        const sandbox = await Sandbox.create({ metadata: { of: 'object' } })
        expect(sandbox.getHost(3000)).toMatch(new RegExp(`^3000-${sandbox.sandboxId}\\.`))
        expect(await Sandbox.getFullInfo(sandbox.sandboxId)).toMatchObject({ metadata: { of: 'object' } })
        await sandbox.connect({ timeoutMs: 900_000 })
        const left = (await sandbox.getInfo()).endAt.getTime() - Date.now()
        expect(left).toBeGreaterThan(895_000)
        await sandbox.kill()
        expect(await sandbox.isRunning()).toBe(false)
      },
    )

    test(
      'where the MCP gateway of a sandbox is, and its token',
      proves('sandbox.getMcpUrl', 'sandbox.getMcpToken'),
      async () => {
        const sandbox = await Sandbox.create()
        expect(sandbox.getMcpUrl()).toBe(`https://${sandbox.getHost(50005)}/mcp`)
        await sandbox.files.write('/etc/mcp-gateway/.token', 'of the gateway', { user: 'root' })
        expect(await sandbox.getMcpToken()).toBe('of the gateway')
        await sandbox.kill()
      },
    )

    test(
      'names of templates: which are taken, and what an unknown one is told',
      proves('Template.exists', 'Template.aliasExists'),
      async () => {
        for (const exists of [Template.exists, Template.aliasExists].filter(Boolean)) {
          expect(await exists('base')).toBe(true)
          expect(await exists('e2b/base')).toBe(true)
          expect(await exists('not-there-v1')).toBe(false)
        }
        await expect(Sandbox.create('not-there-v1')).rejects.toThrow(/Templates of this server: .*"base"/)
      },
    )

    test('template by name, by name and tag, by namespace and name', async () => {
      for (const name of ['base', 'base:default', 'e2b/base']) {
        const sandbox = await Sandbox.create(name)
        expect((await sandbox.getInfo()).templateId).toBe('base')
        await sandbox.kill()
      }
    })

    test(
      'connect reaches the same sandbox and never shortens its life',
      proves('Sandbox.connect', 'sandbox.kill'),
      async () => {
        const sandbox = await Sandbox.create({ timeoutMs: 200_000 })
        const { endAt } = await sandbox.getInfo()
        await sandbox.files.write('note.txt', 'still here')

        const again = await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 10_000 })
        expect(await again.files.read('note.txt')).toBe('still here')
        expect((await again.getInfo()).endAt).toEqual(endAt)

        await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 600_000 })
        const left = (await sandbox.getInfo()).endAt.getTime() - Date.now()
        expect(left).toBeGreaterThan(595_000)
        expect(left).toBeLessThan(605_000)

        await sandbox.kill()
        await expect(Sandbox.connect(sandbox.sandboxId)).rejects.toThrow(
          SandboxNotFoundError ?? NotFoundError,
        )
      },
    )

    test(
      'setTimeout moves the deadline both ways, and 0 ends the sandbox',
      proves('sandbox.setTimeout', 'Sandbox.setTimeout'),
      async () => {
        const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
        await sandbox.setTimeout(20_000)
        const left = (await sandbox.getInfo()).endAt.getTime() - Date.now()
        expect(left).toBeGreaterThan(17_000)
        expect(left).toBeLessThanOrEqual(20_500)
        await Sandbox.setTimeout(sandbox.sandboxId, 0)
        await expect.poll(() => sandbox.isRunning(), { timeout: 3_000 }).toBe(false)
        await expect(sandbox.setTimeout(1_000)).rejects.toThrow(NotFoundError)
      },
    )

    test('a deadline is kept to the second', async () => {
      const sandbox = await Sandbox.create({ timeoutMs: 3_000 })
      const { endAt } = await sandbox.getInfo()
      expect(await sandbox.isRunning()).toBe(true)
      await expect.poll(() => sandbox.isRunning(), { timeout: 6_000, interval: 20 }).toBe(false)
      const lateMs = Date.now() - endAt.getTime()
      expect(lateMs).toBeGreaterThanOrEqual(0)
      expect(lateMs).toBeLessThan(1_000)
    })

    test(
      'list: filters by metadata and state, orders by start, pages',
      proves('Sandbox.list', 'sandboxPaginator.nextItems'),
      async () => {
        const mark = `${Math.random()} & = ü "q"`
        const first = await Sandbox.create({ metadata: { mark, n: '1' } })
        const second = await Sandbox.create({ metadata: { mark, n: '2' } })

        const all = await Sandbox.list({ query: { metadata: { mark } } }).nextItems()
        expect(all.map(({ sandboxId }) => sandboxId)).toEqual([second.sandboxId, first.sandboxId])
        expect(all[0]).toMatchObject({ state: 'running', metadata: { mark, n: '2' }, templateId: 'base' })

        const pages = Sandbox.list({ query: { metadata: { mark }, state: ['running', 'paused'] }, limit: 1 })
        expect((await pages.nextItems())[0]?.sandboxId).toBe(second.sandboxId)
        expect(pages.hasNext).toBe(true)
        expect((await pages.nextItems())[0]?.sandboxId).toBe(first.sandboxId)
        expect(pages.hasNext).toBe(false)

        expect(await Sandbox.list({ query: { metadata: { mark, n: '3' } } }).nextItems()).toEqual([])
        expect(await Sandbox.list({ query: { metadata: { mark }, state: ['paused'] } }).nextItems()).toEqual(
          [],
        )
        await Promise.all([first.kill(), second.kill()])
      },
    )

    test('environment of the sandbox reaches every command and not the next one', async () => {
      const sandbox = await Sandbox.create({ envs: { FOO: 'bar baz' } })
      expect((await sandbox.commands.run('echo "$FOO"')).stdout).toBe('bar baz\n')
      expect((await sandbox.commands.run('echo "$FOO $X"', { envs: { FOO: 'own', X: 'y' } })).stdout).toBe(
        'own y\n',
      )
      expect((await sandbox.commands.run('echo "$FOO$X"')).stdout).toBe('bar baz\n')
      await sandbox.kill()
    })

    test('wrong key, unknown template, unknown sandbox', async () => {
      await expect(Sandbox.create({ apiKey: `e2b_${'0'.repeat(40)}` })).rejects.toThrow(AuthenticationError)
      await expect(Sandbox.create('no-such-template')).rejects.toThrow(/404.*no-such-template/)
      expect(await Sandbox.kill('nonexistingsandbox')).toBe(false)
    })

    test('a command in flight when its sandbox is killed ends with the SDK’s own explanation', async () => {
      const sandbox = await Sandbox.create()
      const command = await sandbox.commands.run('sleep 60', { background: true })
      const outcome = expect(command.wait()).rejects.toThrow(/sandbox|terminated/i)
      await sandbox.kill()
      await outcome
    })
  },
)

describe('e2b newest: ten sandboxes at once', () => {
  test('each has its own files, processes, host name and network', async () => {
    const { Sandbox } = sdks[0]!.sdk
    const sandboxes = await Promise.all(
      Array.from({ length: 10 }, () => Sandbox.create({ timeoutMs: 300_000 })),
    )
    await Promise.all(
      sandboxes.map(async (sandbox, i) => {
        await sandbox.files.write('/home/user/mine', String(i))
        await sandbox.commands.run(`sleep ${1000 + i}`, { background: true })
        await sandbox.commands.run(`echo ${i} > index.html && python3 -m http.server 8000`, {
          background: true,
        })
      }),
    )
    const addresses = await Promise.all(
      sandboxes.map(async (sandbox) => (await sandbox.commands.run('hostname -I')).stdout.trim()),
    )
    expect(new Set(addresses).size).toBe(10)
    await Promise.all(
      sandboxes.map(async (sandbox, i) => {
        expect(await sandbox.files.read('/home/user/mine')).toBe(String(i))
        const { stdout } = await sandbox.commands.run('pgrep -af "^sleep"')
        expect(stdout).toMatch(new RegExp(`^\\d+ sleep ${1000 + i}\\n$`))
        await expect
          .poll(async () =>
            (await fetch(`${server.sandboxUrl}/index.html`, at(sandbox.sandboxId, 8000))).text(),
          )
          .toBe(`${i}\n`)
        const neighbour = addresses[(i + 1) % 10]
        const probe = await sandbox.commands.run(
          `curl -s --max-time 2 http://${neighbour}:8000/index.html || echo closed`,
        )
        expect(probe.stdout).toBe('closed\n')
      }),
    )
    await Promise.all(sandboxes.map((sandbox) => sandbox.kill()))
  })
})

function at(sandboxId: string, port: number): RequestInit {
  return { headers: { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': String(port) } }
}
