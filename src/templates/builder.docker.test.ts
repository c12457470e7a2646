import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../images/base/build.mjs'
import { copy, env, run, startBuilder, type TestBuilder, user, workdir } from '../../tests/support/builder.ts'
import { docker, server } from '../runtimes/docker/runtime.fixture.ts'

let one: Awaited<ReturnType<typeof server>>
let t: TestBuilder

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)
beforeAll(async () => {
  one = await server()
  t = await startBuilder({
    runtime: one.create(),
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

  test('that fails or is cancelled leaves no container and no image', async () => {
    await t.build()
    const images = async () => (await t.runtime.images.list(AbortSignal.timeout(10_000))).toSorted()
    const before = await images()
    const { build } = await t.build({ steps: [run('echo doomed; exit 41')] })
    expect(build.reason).toMatchObject({ step: '1', message: expect.stringContaining('exit status 41') })
    const row = await t.create()
    const spec = {
      from: { image: await baseImageName(), credentials: null },
      steps: [run('echo here; sleep 60')],
    }
    await t.builder.start(row, {
      ...spec,
      force: false,
      startCmd: null,
      readyCmd: null,
      minFreeDiskMb: null,
      tags: [],
    })
    await t.said(row.id, ': here')
    await t.builder.cancel(row.id, 'enough')
    expect(await t.guests()).toEqual([])
    expect(await images()).toEqual(before)
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
