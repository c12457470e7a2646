import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  buildSpec,
  copy,
  env,
  run,
  startBuilder,
  type TestBuilder,
  user,
  workdir,
} from '../../tests/support/builder.ts'

let t: TestBuilder
beforeEach(async () => {
  t = await startBuilder()
})
afterEach(() => t[Symbol.asyncDispose]())

const patience = () => AbortSignal.timeout(30_000)

describe('a build', () => {
  test('runs its steps one after another and says what they say', async () => {
    const { build, log } = await t.build({
      steps: [
        env(['NAME', 'world'], ['GREETING', 'hello $NAME']),
        run('echo "$GREETING"; echo oops >&2'),
        workdir('app'),
        run('pwd > ../where; cat ../where; ls -A ..'),
      ],
      tags: ['default', 'v1'],
    })
    expect(build.reason).toBeNull()
    expect(log).toEqual([
      '[base] FROM none [none]',
      '[builder 1/4] ENV NAME=world GREETING=hello $NAME',
      '[builder 2/4] RUN echo "$GREETING"; echo oops >&2',
      '[builder 2/4] [stdout]: hello world',
      '[builder 2/4] [stderr]: oops',
      '[builder 3/4] WORKDIR app',
      '[builder 4/4] RUN pwd > ../where; cat ../where; ls -A ..',
      expect.stringMatching(/^\[builder 4\/4\] \[stdout\]: .*\/app$/),
      '[builder 4/4] [stdout]: app',
      '[builder 4/4] [stdout]: where',
    ])
    expect(build).toMatchObject({
      status: 'ready',
      diskMb: 1024,
      defaults: {
        env: { NAME: 'world', GREETING: 'hello world' },
        user: 'root',
        workdir: '~/app',
        startCmd: null,
      },
    })
    expect((await t.store.tags.list(build.templateId)).map(({ tag, buildId }) => [tag, buildId])).toEqual([
      ['default', build.id],
      ['v1', build.id],
    ])
    expect(await t.runtime.images.inspect(build.image ?? '', patience())).toBeDefined()
    expect(await t.guests()).toEqual([])
    const entries = await t.store.buildLogs.list({ buildId: build.id, limit: 100 })
    expect(entries.map(({ step }) => step).join()).toBe('base,base,1,2,2,2,3,4,4,4,4,finalize')
  })

  test('without steps is its base', async () => {
    const { build } = await t.build()
    expect(build.status).toBe('ready')
    const child = await t.build({ from: { build } })
    expect(child.build).toMatchObject({ status: 'ready', image: build.image })
    expect(child.log).toEqual([`[base] FROM TEMPLATE ${build.templateId} [${build.id}]`])
  })

  test("goes on from a template with that one's files, variables, directory and commands", async () => {
    const { build: parent } = await t.build({
      steps: [run('echo kept > file'), env(['A', '1']), workdir('sub')],
      startCmd: 'touch started; sleep 60',
      readyCmd: 'test -f started',
    })
    expect(parent.reason).toBeNull()
    const { build, log } = await t.build({
      from: { build: parent },
      steps: [run('echo $A; cat ../file; ls')],
    })
    expect(build.defaults).toEqual(parent.defaults)
    expect(log.filter((line) => line.includes('[stdout]'))).toEqual([
      '[builder 1/1] [stdout]: 1',
      '[builder 1/1] [stdout]: kept',
    ])
    const other = await t.build({ from: { build: parent }, startCmd: 'true', readyCmd: 'true' })
    expect(other.build.defaults).toMatchObject({ startCmd: 'true', readyCmd: 'true' })
  })

  test('is refused when it has begun, or is over', async () => {
    const row = await t.create()
    await t.builder.start(row, buildSpec({ steps: [run('sleep 60')] }))
    expect((await t.store.builds.find(row.id))?.status).toBe('building')
    await expect(t.builder.start(row, buildSpec())).rejects.toMatchObject({ code: 'conflict' })
    await t.builder.cancel(row.id, 'enough')
    await expect(t.builder.start(row, buildSpec())).rejects.toMatchObject({ code: 'conflict' })
    expect(t.builder.owns(row.id)).toBe(false)
  })

  test('whose step fails names it, shows its output and leaves what came before it to the next', async () => {
    const failing = { steps: [run('echo one'), run('echo last words; exit 3')] }
    const { build, log } = await t.build(failing)
    expect(build).toMatchObject({
      status: 'error',
      image: null,
      reason: { step: '2', message: "failed to run command 'echo last words; exit 3': exit status 3" },
    })
    expect(log.at(-1)).toBe('[builder 2/2] [stdout]: last words')
    expect(await t.store.buildLogs.list({ buildId: build.id, minLevel: 'error', limit: 9 })).toMatchObject([
      { message: `Build failed: ${build.reason?.message}`, step: '2' },
    ])
    expect(await t.guests()).toEqual([])
    const again = await t.build(failing)
    expect(again.log.slice(0, 2)).toEqual([
      'CACHED [base] FROM none [none]',
      'CACHED [builder 1/2] RUN echo one',
    ])
  })

  test('with a user that there is none of fails in the words that programs compare', async () => {
    const { build } = await t.build({ steps: [run('whoami', { user: 'root123' })] })
    const message =
      "failed to run command 'whoami': command failed: unauthenticated: invalid username: 'root123'"
    expect(build.reason).toEqual({ step: '1', message })
  })

  test('of an image that is nowhere fails in its base', async () => {
    const { build } = await t.build({ from: { image: 'nowhere', credentials: null } })
    expect(build.reason).toMatchObject({ step: 'base', message: expect.stringContaining('nowhere') })
  })

  test('of a template whose image is gone, or of another runtime, fails in its base', async () => {
    const { build } = await t.build()
    const gone = await t.build({ from: { build: { ...build, image: 'e2b-server/template:gone' } } })
    expect(gone.build.reason).toMatchObject({ step: 'base', message: expect.stringContaining('gone') })
    const foreign = await t.build({ from: { build: { ...build, runtime: 'docker' } } })
    expect(foreign.build.reason).toMatchObject({ step: 'base', message: expect.stringContaining('"docker"') })
  })

  test('with a user who cannot be made fails at that step', async () => {
    const { build } = await t.build({ steps: [user('; reboot')] })
    expect(build.reason).toMatchObject({
      step: '1',
      message: expect.stringContaining("can't be made"),
    })
  })

  test('raises its disk for what is to be free', async () => {
    const { build } = await t.build({ minFreeDiskMb: 2000 })
    expect(build.diskMb).toBeGreaterThanOrEqual(2000)
    const tooMuch = await t.build({ minFreeDiskMb: 2 ** 40 })
    expect(tooMuch.build.reason).toMatchObject({ step: 'finalize', message: expect.stringContaining('MiB') })
  })
})

describe('start and ready commands', () => {
  test('run until the template is ready', async () => {
    const { build, log } = await t.build({
      startCmd: 'echo up; touch up; sleep 60',
      readyCmd: 'test -f up',
    })
    expect(build.reason).toBeNull()
    expect(log).toContain('[start] [stdout]: up')
    expect(log.at(-1)).toBe('[finalize] Template is ready')
    expect(await t.guests()).toEqual([])
    // What it did is no part of the template: it runs in each sandbox.
    const child = await t.build({ from: { build }, steps: [run('ls -A')] })
    expect(child.log.filter((line) => line.includes('[builder 1/1] [stdout]'))).toEqual([])
  })

  test('are proven once for an image', async () => {
    const spec = { startCmd: 'echo x >> runs; sleep 60', readyCmd: 'test -f runs' }
    await t.build(spec)
    expect((await t.build(spec)).log.at(-1)).toMatch(/^CACHED \[finalize\]/)
    expect((await t.build({ ...spec, force: true })).log.at(-1)).toBe('[finalize] Template is ready')
  })

  test('a ready command that stands for none is tried once, and is not what sandboxes wait for', async () => {
    // The time of it is what this is about; a failing start command ends it early.
    const spec = { startCmd: 'echo up; exit 7', readyCmd: 'sleep 20' }
    const { build, log } = await t.build(spec)
    expect(log).toContain('[finalize] Waiting for the template to be ready: sleep 20')
    expect(build.reason?.message).toContain('exit status 7')
    const alone = await t.build({ readyCmd: 'sleep 20' })
    expect(alone.build).toMatchObject({ status: 'ready', defaults: { startCmd: null, readyCmd: null } })
    const meant = await t.build({ readyCmd: 'sleep 0.1' })
    expect(meant.build.defaults.readyCmd).toBe('sleep 0.1')
  })

  test('a start command that fails fails the build', async () => {
    const { build } = await t.build({ startCmd: 'exit 7', readyCmd: 'false' })
    expect(build.reason).toMatchObject({
      step: 'finalize',
      message: expect.stringContaining('exit status 7'),
    })
  })
})

test("the operator's variables are the commands' alone, below the template's, and their secrets in no log", async () => {
  const commandEnv = { INDEX: 'https://me:s3cret@mirror.example.org', LEVEL: 'operator', API_TOKEN: 't0ken' }
  await using mirrored = await startBuilder({ commandEnv })
  const { build: failed } = await mirrored.build({ steps: [run(': t0ken; false')] })
  expect(failed.reason?.message).toBe("failed to run command ': ***; false': exit status 1")
  const steps = [env(['LEVEL', 'own']), run('echo "$INDEX $LEVEL $API_TOKEN"')]
  const { build: built, log } = await mirrored.build({ steps })
  expect(built.reason).toBeNull()
  expect(built.defaults.env).toEqual({ LEVEL: 'own' })
  expect(log.join('\n')).toContain('[stdout]: https://me:***@mirror.example.org own ***')
  expect(log.join('\n')).not.toMatch(/s3cret|t0ken/)
})

describe('COPY', () => {
  const archive = (...args: string[]) => execFileSync('tar', ['-cz', ...args], { maxBuffer: 2 ** 24 })
  const hash = 'a'.repeat(64)

  test('puts files of an archive where the step says, and is cached by its hash', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'e2b-copy-'))
    await mkdir(join(folder, 'src/deep'), { recursive: true })
    await writeFile(join(folder, 'src/deep/a.txt'), 'A')
    await writeFile(join(folder, 'src/b.sh'), 'B')
    t.files.set(hash, archive('-C', folder, 'src'))
    await rm(folder, { recursive: true })
    const steps = [
      env(['WHERE', 'to']),
      workdir('app'),
      copy('src', '$WHERE', { filesHash: hash }),
      copy('src/b.sh', '.', { filesHash: hash, mode: 0o755 }),
      run('cat to/deep/a.txt b.sh; stat -c %a b.sh to/b.sh'),
    ]
    const { build, log } = await t.build({ steps })
    expect(build.reason).toBeNull()
    expect(log).toContain('[builder 3/5] COPY src $WHERE')
    const said = log.filter((line) => line.includes('[stdout]')).map((line) => line.split(': ')[1])
    expect(said).toEqual(['AB755', '644'])
    t.files.clear()
    expect((await t.build({ steps })).build.image).toBe(build.image)
  })

  test('of an archive that is missing, bad or has no such file fails at its step', async () => {
    const missing = await t.build({ steps: [copy('x', '.', { filesHash: hash })] })
    expect(missing.build.reason).toMatchObject({
      step: '1',
      message: expect.stringMatching(/^failed to copy 'x' to '.': There is no such archive/),
    })
    t.files.set(hash, Buffer.from('no archive'))
    const bad = await t.build({ steps: [copy('x', '.', { filesHash: hash })] })
    expect(bad.build.reason?.message).toMatch(/^failed to copy 'x' to '.': /)
    t.files.set(hash, archive('-C', '/', 'etc/hostname'))
    const other = await t.build({ steps: [run('true'), copy('x', '.', { filesHash: hash })] })
    expect(other.build.reason).toMatchObject({ step: '2', message: expect.stringContaining("'x'") })
    expect(await t.guests()).toEqual([])
  })
})
