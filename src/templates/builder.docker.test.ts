import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../images/base/build.mjs'
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
import { withFailpoints } from '../../tests/support/failpoints.ts'
import type { BuildSpec } from '../domain/template-builder.ts'
import { docker, server } from '../runtimes/docker/runtime.fixture.ts'

let one: Awaited<ReturnType<typeof server>>
let t: TestBuilder
/** Called before and after what the runtime does */
let onPoint: (point: string) => void = () => {}

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)
beforeAll(async () => {
  one = await server()
  t = await startBuilder({
    runtime: withFailpoints(one.create({ registries: { allow: ['127.0.0.0/8'] } }), 'runtime', (point) =>
      onPoint(point),
    ),
    image: await baseImageName(),
    defaults: { user: 'user', workdir: '/home/user' },
  })
})
afterAll(async () => {
  await t[Symbol.asyncDispose]()
  await one.dispose()
})

const said = (log: string[]) =>
  log.flatMap((line) => (line.includes('[stdout]') ? [line.slice(line.indexOf(']: ') + 3)] : []))
const layersOf = async (image: string | null) => {
  const { RootFS: rootFs } = await docker.getImage(image ?? '').inspect()
  return rootFs.Layers?.length ?? 0
}

describe('a build in containers', () => {
  test('makes users, directories and files as a Dockerfile would', async () => {
    const { build, log } = await t.build({
      steps: [
        run('whoami; pwd'),
        env(['APP', '/opt/app'], ['PATH', '/opt/app/bin:$PATH']),
        user('worker'),
        workdir('$APP'),
        run('whoami; pwd; stat -c "%U %a" . ~; echo $HOME'),
        workdir('sub'),
        run('pwd; whoami', { user: 'root' }),
        user('0:0'),
        run('id -un; echo $PATH; sudo -u user sudo id -un'),
      ],
    })
    expect(build.reason).toBeNull()
    expect(said(log)).toEqual([
      ...['user', '/home/user'],
      ...['worker', '/opt/app', 'worker 755', expect.stringMatching(/^worker 7\d\d$/), '/home/worker'],
      ...['/opt/app/sub', 'root'],
      ...['root', expect.any(String), 'root'],
    ])
    expect(build.defaults).toMatchObject({ user: 'root', workdir: '/opt/app/sub' })
    expect(build.defaults.env.PATH).toMatch(/^\/opt\/app\/bin:\/usr\/local/)
  })

  test('copies with owner and mode', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'e2b-copy-'))
    await mkdir(join(folder, 'src'))
    await writeFile(join(folder, 'src/tool'), 'T')
    t.files.set('b'.repeat(64), execFileSync('tar', ['-cz', '-C', folder, 'src']))
    await rm(folder, { recursive: true })
    const { build, log } = await t.build({
      steps: [
        copy('src/tool', '/usr/local/bin/', { filesHash: 'b'.repeat(64), mode: 0o755, user: 'root' }),
        copy('src', '.', { filesHash: 'b'.repeat(64) }),
        run('stat -c "%n %U %a" /usr/local/bin/tool tool'),
      ],
    })
    expect(build.reason).toBeNull()
    expect(said(log)).toEqual(['/usr/local/bin/tool root 755', 'tool user 644'])
  })

  test('of ten small steps has two layers more than its base', async () => {
    const steps = Array.from({ length: 10 }, (_, number) => run(`echo ${number} >> file`))
    const { build, log } = await t.build({ steps: [...steps, run('tr -d "\\n" < file')] })
    expect(said(log)).toEqual(['0123456789'])
    // One is the base as it was made fit, one has all the steps, or both are one.
    expect((await layersOf(build.image)) - (await layersOf(await baseImageName()))).toBeLessThanOrEqual(2)
    const rows = await t.store.layers.list({})
    expect(rows.every(({ sizeBytes }) => sizeBytes < 2 ** 20)).toBe(true)
  })

  test('goes on in another guest when a step has added much', async () => {
    const { build, log } = await t.build({
      steps: [
        run('cat /proc/sys/kernel/random/boot_id > first; head -c 80000000 /dev/urandom > big'),
        run('cat /proc/sys/kernel/random/boot_id > second; echo small'),
        run('cmp first second || cat big | wc -c; rm big'),
      ],
    })
    expect(build.reason).toBeNull()
    expect(said(log)).toEqual(['small', expect.stringContaining('differ'), '80000000'])
    const child = await t.build({ from: { build }, steps: [run('ls')] })
    expect(said(child.log)).toEqual(['first', 'second'])
  })

  test('that fails, or is cancelled in a command, a pull or a commit, leaves no container and no image', async () => {
    await t.build()
    const images = async () => (await t.runtime.images.list(AbortSignal.timeout(10_000))).toSorted()
    const before = await images()
    const { build } = await t.build({ steps: [run('echo doomed; exit 41')] })
    expect(build.reason).toMatchObject({ step: '1', message: expect.stringContaining('exit status 41') })

    const cancelled = async (
      step: string,
      spec: Partial<BuildSpec>,
      until: (id: string) => Promise<unknown>,
    ) => {
      const row = await t.create()
      const base = { image: await baseImageName(), credentials: null }
      await t.builder.start(row, buildSpec({ from: base, ...spec }))
      await until(row.id)
      await t.builder.cancel(row.id, 'enough')
      expect((await t.store.builds.find(row.id))?.reason).toEqual({ message: 'enough', step })
      expect(await t.guests()).toEqual([])
    }
    await cancelled('1', { steps: [run('echo here; sleep 60')] }, (id) => t.said(id, ': here'))
    // A registry that never answers.
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const asked = once(silent, 'connection')
    const image = `127.0.0.1:${(silent.address() as AddressInfo).port}/silent:1`
    await cancelled('base', { from: { image, credentials: null } }, () => asked)
    ;(await asked)[0].destroy()
    silent.close()
    const committing = new Promise<void>((resolve) => {
      onPoint = (point) => void (point === 'runtime.snapshot:before' && setTimeout(resolve, 100))
    })
    await cancelled('1', { steps: [run('head -c 120000000 /dev/urandom > large')] }, () => committing)
    onPoint = () => {}
    // What the engine has begun it ends, and then the image goes.
    await expect.poll(images, { timeout: 40_000 }).toEqual(before)
  })

  test('has a start command that becomes ready', async () => {
    const { build, log } = await t.build({
      startCmd: 'python3 -m http.server 8000',
      readyCmd: 'curl -sf -o /dev/null localhost:8000',
    })
    expect(build.reason).toBeNull()
    expect(log.at(-1)).toBe('[finalize] Template is ready')
  })
})
