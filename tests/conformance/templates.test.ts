/** Templates are built, tagged, listed and used by the published SDKs. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pythonVersions } from '../support/python.ts'
import { type Sdk, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
const context = mkdtempSync(join(tmpdir(), 'e2b-context-'))
beforeAll(async () => {
  server = await joinSharedServer()
  mkdirSync(join(context, 'folder/inner'), { recursive: true })
  writeFileSync(join(context, 'one.txt'), 'one')
  writeFileSync(join(context, 'two.txt'), 'two')
  writeFileSync(join(context, 'folder/three.txt'), 'three')
  writeFileSync(join(context, 'folder/inner/four.txt'), 'four')
  writeFileSync(join(context, 'folder/left.out'), 'out')
  symlinkSync('one.txt', join(context, 'link.txt'))
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(context, { recursive: true, force: true })
})

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const timeout = 300_000

describe.each(sdks)('e2b $version: templates', ({ sdk }) => {
  const { Sandbox, Template } = sdk as Sdk
  const name = (what: string) => `${what}-${randomUUID().slice(0, 8)}`
  const small = { cpuCount: 1, memoryMB: 512 } as const

  /** What a command says in a sandbox of a template. */
  async function say(template: string, command: string, user?: 'root' | 'user'): Promise<string> {
    const sandbox = await Sandbox.create(template)
    try {
      return (await sandbox.commands.run(command, user === undefined ? {} : { user })).stdout.trim()
    } finally {
      await sandbox.kill()
    }
  }

  test('build with commands, variables, users, directories; the log says each', {
    timeout,
    ...proves('Template.build', 'Template.exists', 'Template.aliasExists'),
  }, async () => {
    const called = name('steps')
    expect(await Template.exists(called)).toBe(false)
    const template = Template()
      .fromTemplate('base')
      .setEnvs({ GREETING: 'hello', BOTH: '$GREETING world' })
      .makeDir('/home/user/made', { mode: 0o755 })
      .runCmd(['echo "$BOTH" > said.txt', 'id -un > who.txt'])
      .runCmd('id -un > /root-was-here', { user: 'root' })
      .makeSymlink('said.txt', 'linked.txt')
      .rename('who.txt', 'whoever.txt')
      .remove('nothing-there', { force: true })
      .setUser('builder')
      .setWorkdir('/srv/app')
      .runCmd('pwd > here.txt && id -un >> here.txt')
    const lines: string[] = []
    const built = await Template.build(template, called, {
      ...small,
      onBuildLogs: (entry) => void lines.push(`${entry.level} ${entry.message}`),
    })
    expect(built).toMatchObject({ name: called, buildId: expect.stringMatching(uuid), tags: ['default'] })
    expect(lines.join('\n')).toMatch(/Building template/)
    expect(lines.join('\n')).toMatch(/\[builder 1\/\d+\] ENV/)
    expect(lines.join('\n')).toContain('Build finished')
    expect(new Set(lines).size).toBeGreaterThan(8)
    expect(await Template.exists(called)).toBe(true)
    const sandbox = await Sandbox.create(called)
    const info = await sandbox.getInfo()
    expect(info).toMatchObject({ templateId: built.templateId, cpuCount: 1, memoryMB: 512 })
    const said = await sandbox.commands.run(
      'pwd; id -un; echo $GREETING; cat here.txt /home/user/said.txt /home/user/linked.txt /home/user/whoever.txt /root-was-here',
    )
    await sandbox.kill()
    expect(said.stdout.trim().split('\n')).toEqual([
      ...['/srv/app', 'builder', 'hello', '/srv/app', 'builder'],
      ...['hello world', 'hello world', 'user', 'root'],
    ])
  })

  test('copy with every option, and again from what is there', {
    timeout,
    ...proves('Template.build'),
  }, async () => {
    const called = name('copies')
    const template = () =>
      Template({ fileContextPath: context, fileIgnorePatterns: ['**/*.out'] })
        .fromTemplate('base')
        .copy('one.txt', '/data/')
        .copy('*.txt', '/all/', { resolveSymlinks: true })
        .copy('link.txt', '/links/')
        .copy('folder', '/folder', { user: 'root', mode: 0o700 })
        .copyItems([
          { src: 'two.txt', dest: 'relative.txt' },
          { src: ['one.txt', 'two.txt'], dest: '/several/', forceUpload: true },
        ])
    await Template.build(template(), called, small)
    const listing =
      'cd / && cat data/one.txt all/link.txt all/two.txt several/two.txt home/user/relative.txt; ' +
      'readlink links/link.txt; stat -c "%U %a %n" folder data/one.txt; ls -R folder'
    const expected = ['oneonetwotwotwo' + 'one.txt', 'root 700 folder', 'user 644 data/one.txt']
    const first = await say(called, listing, 'root')
    for (const line of expected) expect(first).toContain(line)
    expect(first).toContain('four.txt')
    expect(first).not.toContain('left.out')
    const lines: string[] = []
    await Template.build(template(), called, {
      ...small,
      onBuildLogs: (entry) => void lines.push(entry.message),
    })
    // A forced upload makes its step again, and those behind it.
    expect(lines.filter((line) => line.startsWith('CACHED [builder')).length).toBe(5)
    expect(lines.join('\n')).toContain('already cached')
    expect(await say(called, listing, 'root')).toBe(first)
  })

  test('skipCache makes steps again from there on', { timeout, ...proves('Template.build') }, async () => {
    const called = name('fresh')
    const kept = `date +%s%N > /tmp/kept-${randomUUID()}`
    const build = async (skip: 'none' | 'second' | 'all') => {
      const begun = Template().fromTemplate('base')
      const steps = (skip === 'all' ? begun.skipCache() : begun).runCmd(kept)
      const all = (skip === 'second' ? steps.skipCache() : steps).runCmd('date +%s%N > /tmp/later')
      const lines: string[] = []
      await Template.build(all, called, { ...small, onBuildLogs: ({ message }) => void lines.push(message) })
      return lines.filter((line) => line.startsWith('CACHED [builder')).length
    }
    expect(await build('none')).toBe(0)
    expect(await build('none')).toBe(2)
    expect(await build('second')).toBe(1)
    expect(await build('all')).toBe(0)
  })

  test('a build in the background tells how far it is, and starts by its id', {
    timeout,
    ...proves('Template.buildInBackground', 'Template.getBuildStatus'),
  }, async () => {
    const called = name('background')
    const template = Template().fromTemplate('base').runCmd(`sleep 3; echo ${called} is done`)
    const info = await Template.buildInBackground(template, called, small)
    const first = await Template.getBuildStatus(info)
    expect(first.status).toBe('building')
    await expect(Sandbox.create(called)).rejects.toThrow(/404.*does not exist/s)
    await expect
      .poll(async () => (await Template.getBuildStatus(info)).status, { timeout: 120_000, interval: 500 })
      .toBe('ready')
    const all = await Template.getBuildStatus(info)
    expect(all.logEntries.map(({ message }) => message).join('\n')).toContain(`${called} is done`)
    const rest = await Template.getBuildStatus(info, { logsOffset: all.logEntries.length })
    expect(rest.logEntries).toEqual([])
    expect(await say(`${called}:${info.buildId}`, 'echo yes')).toBe('yes')
  })

  test('tags are of builds, and sandboxes go by them', {
    timeout,
    ...proves('Template.assignTags', 'Template.removeTags', 'Template.getTags'),
  }, async () => {
    const called = name('tagged')
    const marked = (text: string) => Template().fromTemplate('base').runCmd(`echo ${text} > /tmp/mark`)
    const [one, two] = await Promise.all([
      Template.build(marked('one'), `${called}:v1`, small),
      Template.build(marked('two'), called, { ...small, tags: ['v2', 'newest'] }),
    ])
    expect(one.templateId).toBe(two.templateId)
    expect([one.tags, two.tags]).toEqual([['v1'], ['v2', 'newest']])
    expect(await say(`${called}:v1`, 'cat /tmp/mark')).toBe('one')
    expect(await say(`${called}:newest`, 'cat /tmp/mark')).toBe('two')
    const assigned = await Template.assignTags(`${called}:v1`, ['production', 'newest'])
    expect(assigned).toEqual({ buildId: one.buildId, tags: ['production', 'newest'] })
    expect(await say(`${called}:newest`, 'cat /tmp/mark')).toBe('one')
    const tags = await Template.getTags(called)
    expect(Object.fromEntries(tags.map(({ tag, buildId }) => [tag, buildId]))).toEqual({
      v1: one.buildId,
      production: one.buildId,
      newest: one.buildId,
      v2: two.buildId,
    })
    expect(tags[0]!.createdAt).toBeInstanceOf(Date)
    await Template.removeTags(called, ['production', 'v1'])
    expect((await Template.getTags(called)).map(({ tag }) => tag).toSorted()).toEqual(['newest', 'v2'])
    await expect(Sandbox.create(`${called}:v1`)).rejects.toThrow(/404.*does not exist/s)
    await expect(Template.assignTags(`${called}:`, 'x')).rejects.toThrow(/400/)
    await expect(Template.assignTags(':x', 'x')).rejects.toThrow(/400/)
    await expect(Template.removeTags(called, 'default')).rejects.toThrow(/400/)
    await expect(Template.getTags(name('nowhere'))).rejects.toThrow(/404/)
  })

  test('a start command runs in every sandbox, which is there once it is ready', {
    timeout,
    ...proves('Template.build'),
  }, async () => {
    const called = name('serving')
    const { waitForPort } = sdk as Sdk
    const template = Template()
      .fromTemplate('base')
      .setStartCmd('python3 -m http.server 8000', waitForPort(8000))
    await Template.build(template, called, small)
    expect(await say(called, 'curl -s -o /dev/null -w "%{http_code}" localhost:8000')).toBe('200')
  })

  test('a template made of another takes over what it has', {
    timeout,
    ...proves('Template.build'),
  }, async () => {
    const [parent, child] = [name('parent'), name('child')]
    const first = Template().fromTemplate('base').setEnvs({ FROM_PARENT: 'yes' }).setWorkdir('/parent')
    await Template.build(first, `${parent}:v1`, small)
    const second = Template().fromTemplate(`${parent}:v1`).runCmd('echo "$FROM_PARENT $(pwd)" > /tmp/seen')
    await Template.build(second, child, small)
    expect(await say(child, 'cat /tmp/seen; pwd; echo $FROM_PARENT')).toBe('yes /parent\n/parent\nyes')
  })

  test('a Dockerfile is built, with its arguments, copies, users and start command', {
    timeout,
    ...proves('Template.build'),
  }, async () => {
    const called = name('dockerfile')
    const template = Template({ fileContextPath: context }).fromDockerfile(
      [
        'FROM e2bdev/base:latest',
        'ARG LEVEL=7',
        'ENV SHOWN=level-$LEVEL',
        'WORKDIR /opt/made',
        'COPY one.txt ./',
        'COPY --chown=root two.txt .',
        'RUN cat one.txt two.txt > both.txt \\',
        '  && id -un > who.txt',
        'USER user',
        'CMD ["sleep", "infinity"]',
      ].join('\n'),
    )
    await Template.build(template.setReadyCmd('true'), called, small)
    expect(await say(called, 'cat /opt/made/both.txt /opt/made/who.txt; echo $SHOWN; id -un; pwd')).toBe(
      'onetworoot\nlevel-7\nuser\n/opt/made',
    )
  })

  test('a step that fails is named in the error, whose stack leads to the line that made it', {
    timeout,
    ...proves('Template.build'),
  }, async () => {
    const { BuildError } = sdk as Sdk
    const failing = async (template: Parameters<typeof Template.build>[0]) => {
      const error = await Template.build(template, name('failing'), small).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(BuildError)
      return error as Error
    }
    const begun = Template().fromTemplate('base')
    const ofCommand = await failing(begun.runCmd('echo the last words >&2; exit 7'))
    expect(ofCommand.message).toContain(
      "failed to run command 'echo the last words >&2; exit 7': exit status 7",
    )
    expect(ofCommand.stack).toContain('templates.test.ts')
    const ofUser = await failing(
      Template()
        .fromTemplate('base')
        .runCmd('whoami', { user: 'root123' as 'root' }),
    )
    expect(ofUser.message).toContain(
      "failed to run command 'whoami': command failed: unauthenticated: invalid username: 'root123'",
    )
    const ofBase = await failing(Template().fromImage('no-such-image-anywhere:1').runCmd('true'))
    expect(ofBase.message).toMatch(/no-such-image-anywhere/)
    const status = await failing(Template().fromTemplate('base').setStartCmd('false', 'exit 1'))
    expect(status.message).toMatch(/exit|ready|end/i)
  })

  test('what goes with templates of E2B alone is refused by the SDK, naming them', () => {
    const { BuildError } = sdk as Sdk
    const begun = () => Template().fromTemplate('base')
    for (const [ask, message] of [
      [() => begun().addMcpServer(['exa']), 'MCP servers can only be added to mcp-gateway template'],
      [() => begun().betaDevContainerPrebuild('/app'), 'devcontainer template'],
      [() => begun().betaSetDevContainerStart('/app'), 'devcontainer template'],
    ] as const) {
      expect(ask).toThrow(message)
      expect(ask).toThrow(BuildError)
    }
  })

  test('what can’t be asked for is refused before anything is built', {
    timeout,
    ...proves('Template.build'),
  }, async () => {
    const template = () => Template().fromTemplate('base').runCmd('true')
    const build = (called: string, options: object) => Template.build(template(), called, options)
    await expect(build(name('x'), { cpuCount: 3 })).rejects.toThrow('CPU count must be 1 or an even number')
    await expect(build(name('x'), { memoryMB: 513 })).rejects.toThrow('Memory must be divisible by 2')
    await expect(build('not a name', {})).rejects.toThrow(/400/)
    await expect(build(`x:${randomUUID()}`, {})).rejects.toThrow(/400/)
    const missing = Template().fromTemplate('no-such-template').runCmd('true')
    await expect(Template.build(missing, name('x'), small)).rejects.toThrow(/no-such-template/)
  })
})

describe('the first generation’s requests', () => {
  /** As its command line sends them, with the token of a login. */
  async function post(path: string, body?: object): Promise<{ status: number; text: string }> {
    const answer = await fetch(`${server.url}/templates${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: answer.status, text: await answer.text() }
  }
  const ask = async (body: object, path = '') => {
    const { status, text } = await post(path, body)
    expect([status, text]).toEqual([202, expect.stringContaining('buildID')])
    return JSON.parse(text) as { templateID: string; buildID: string; aliases: string[] }
  }

  /** Reads text alone, and ends with the first status that isn't `building`, as they do. */
  async function follow({ templateID, buildID }: { templateID: string; buildID: string }) {
    const started = await post(`/${templateID}/builds/${buildID}`)
    expect(started).toEqual({ status: 202, text: '' })
    let log = ''
    for (let offset = 0; ; ) {
      const path = `${server.url}/templates/${templateID}/builds/${buildID}/status?logsOffset=${offset}`
      const answer = await fetch(path, { headers: { authorization: `Bearer ${server.apiKey}` } })
      expect(answer.status).toBe(200)
      const info = (await answer.json()) as { status: string; logs: string[]; reason?: { message: string } }
      offset += info.logs.length
      log += info.logs.join('')
      if (info.status !== 'building') return { ...info, log }
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }

  test('build a Dockerfile, whose template is like any other', { timeout }, async () => {
    const alias = `older-${randomUUID().slice(0, 8)}`
    const dockerfile = 'FROM e2bdev/base\nENV WHO=world\nRUN echo "hello  $WHO" > /said\nCMD ["false"]\n'
    const size = { cpuCount: 1, memoryMB: 512 }
    const built = await ask({ alias, dockerfile, startCmd: 'sleep 1234', readyCmd: 'true', ...size })
    expect(built).toMatchObject({ aliases: [alias], ...size, public: false, createdBy: null })
    const { status, log } = await follow(built)
    expect([status, log]).toEqual(['ready', expect.stringMatching(/^.*RUN echo "hello {2}\$WHO".*$/m)])
    expect(await post(`/${built.templateID}/builds/${built.buildID}`)).toMatchObject({ status: 409 })
    const { Sandbox } = sdks[0]!.sdk
    const sandbox = await Sandbox.create(alias)
    const said = await sandbox.commands.run(
      'cat /said; id -un; pwd; pgrep -fx "sleep 1234" > /dev/null && echo $WHO',
    )
    await sandbox.kill()
    expect(said.stdout.split('\n')).toEqual(['hello  world', 'user', '/home/user', 'world', ''])

    const again = await ask({ dockerfile: 'FROM e2bdev/base\nRUN exit 3' }, `/${built.templateID}`)
    expect(again).toMatchObject({ templateID: built.templateID, aliases: [alias] })
    const failed = await follow(again)
    expect(failed).toMatchObject({
      status: 'error',
      reason: { message: expect.stringContaining('exit status 3') },
    })
    const kept = await Sandbox.create(alias)
    expect((await kept.commands.run('cat /said')).stdout).toBe('hello  world\n')
    await kept.kill()
  })

  test('that need files of a folder are told what has them', { timeout }, async () => {
    const { status, text } = await post('', { dockerfile: 'FROM e2bdev/base\nCOPY app.py /srv/' })
    expect(status).toBe(400)
    expect(JSON.parse(text)).toEqual({ code: 400, message: expect.stringContaining('e2b template create') })
  })
})

describe('uploads', () => {
  const ask = async (path: string, body?: object) => {
    const headers = { 'x-api-key': server.apiKey, 'content-type': 'application/json' }
    const sent = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) }
    return (await (await fetch(`${server.url}${path}`, sent)).json()) as Record<string, unknown>
  }
  const makeLink = async (hash: string) => {
    const { templateID } = await ask('/v3/templates', { name: `uploads-${randomUUID().slice(0, 8)}` })
    return await ask(`/templates/${templateID}/files/${hash}`)
  }

  test('stream through the server whatever their size, once, and say in the status line what is wrong', {
    timeout,
  }, async () => {
    const hash = randomUUID().replaceAll('-', '').repeat(2)
    const piece = Buffer.alloc(1_000_000, 7)
    const pieces = 50
    async function* body() {
      for (let index = 0; index < pieces; index++) yield piece
    }
    const put = (url: string, length: Record<string, string>) =>
      fetch(url, {
        method: 'PUT',
        headers: length,
        body: ReadableStream.from(body()),
        duplex: 'half',
      } as RequestInit)
    const whole = { 'content-length': String(piece.length * pieces) }
    const { present, url } = await makeLink(hash)
    expect(present).toBe(false)
    expect((await put(url as string, whole)).status).toBe(200)
    const used = await put(url as string, whole)
    expect([used.status, used.statusText]).toEqual([403, expect.stringContaining('used or expired')])
    // What the Python SDK sends with looks at the answer once it has sent all.
    const python = join(import.meta.dirname, '../../build/python', pythonVersions[0]!, 'bin/python')
    const script =
      'import httpx, sys; r = httpx.put(sys.argv[1], content=(b"x" * 1000000 for _ in range(50)), ' +
      'headers={"content-length": "50000000"}, timeout=120); print(r.status_code, r.reason_phrase)'
    const { stdout } = await promisify(execFile)(python, ['-c', script, url as string])
    expect(stdout).toMatch(/^403 .*used or expired/)
    const again = await makeLink(hash)
    expect(again.present).toBe(true)
    expect((await put(again.url as string, {})).status).toBe(411)
    expect(
      (await fetch(`${server.url}/template-files/${'0'.repeat(64)}`, { method: 'PUT', body: 'x' })).status,
    ).toBe(403)
  })
})
