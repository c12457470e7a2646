import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sandbox, Template } from 'e2b'
import { sample, timed } from '../../src/bench/statistics.ts'
import { baseImage, docker, dockerRemove } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { rate, spread } from '../report.ts'

const copyMegabytes = 200
const name = 'bench'

/** Steps as templates have them, for both builders; the last line of a Dockerfile is its first that differs. */
const commands = [
  'mkdir -p /opt/app && echo "print(1)" > /opt/app/main.py',
  'python3 -m compileall -q /opt/app',
  'python3 -m venv --without-pip /opt/venv',
  'head -c 5000000 /dev/urandom > /opt/app/data',
  'tar -czf /opt/app/data.tgz -C /opt/app data',
  'useradd --system worker',
  'chown -R worker /opt/app',
]

/** Building templates, beside `docker build` of the Dockerfile that says the same. */
export const benchTemplates: Group = async ({ report }) => {
  const folder = await mkdtemp(join(tmpdir(), 'e2b-bench-'))
  try {
    await writeFile(join(folder, 'small.txt'), 'small')
    await writeFile(join(folder, 'large.bin'), randomBytes(copyMegabytes * 2 ** 20))
    await writeFile(join(folder, '.dockerignore'), 'large.bin')
    await writeFile(
      join(folder, 'Dockerfile'),
      [
        `FROM ${baseImage}`,
        'USER root',
        'ENV APP=/opt/app',
        'WORKDIR /opt/app',
        'COPY small.txt /opt/app/',
        ...commands.map((command) => `RUN ${command}`),
      ].join('\n'),
    )
    const build = () => Template.build(tenSteps(folder), name)
    const dockerBuild = (...flags: string[]) => docker('build', '-q', ...flags, '-t', 'e2b-bench:ten', folder)

    const cold = await sample(() => Template.build(tenSteps(folder), name, { skipCache: true }), { count: 3 })
    const theirCold = await sample(() => dockerBuild('--no-cache'), { count: 3 })
    report('template of ten steps, cold | docker build --no-cache', spread(cold), spread(theirCold))
    await build()
    const warm = await sample(build, { count: 5 })
    const theirWarm = await sample(() => dockerBuild(), { count: 5 })
    report('the same, all cached | docker build', spread(warm), spread(theirWarm))

    let sandbox: Sandbox | undefined
    const first = await timed(async () => {
      sandbox = await Sandbox.create(name)
    })
    await sandbox?.kill()
    let container = ''
    const theirFirst = await timed(async () => {
      container = await docker('run', '-d', 'e2b-bench:ten', 'sleep', 'infinity')
    })
    await dockerRemove([container])
    report('first sandbox of it | docker run -d', spread([first]), spread([theirFirst]))

    await writeFile(join(folder, '.dockerignore'), 'small.txt')
    await writeFile(join(folder, 'Dockerfile'), `FROM ${baseImage}\nCOPY large.bin /opt/`)
    const copy = (forceUpload: boolean) =>
      Template({ fileContextPath: folder })
        .fromImage(baseImage)
        .copy('large.bin', '/opt/', { ...(forceUpload && { forceUpload }), user: 'root', gzip: false })
    const buildCopy = (forceUpload: boolean) =>
      sample(() => Template.build(copy(forceUpload), name, { skipCache: true }), { count: 3 })
    const whole = await buildCopy(true)
    const uploaded = await buildCopy(false)
    const theirs = rate(
      await sample(() => docker('build', '-q', '--no-cache', '-t', 'e2b-bench:copy', folder), { count: 3 }),
      copyMegabytes,
    )
    const what = `COPY of ${copyMegabytes} MB`
    report(`${what}, with the SDK's hashes and upload | docker build`, rate(whole, copyMegabytes), theirs)
    report(`${what}, uploaded before | docker build`, rate(uploaded, copyMegabytes), theirs)
  } finally {
    for (const image of ['e2b-bench:ten', 'e2b-bench:copy']) await docker('rmi', image).catch(() => {})
    await rm(folder, { recursive: true })
  }
}

function tenSteps(folder: string) {
  const begun = Template({ fileContextPath: folder })
    .fromImage(baseImage)
    .setUser('root')
    .setEnvs({ APP: '/opt/app' })
    .setWorkdir('/opt/app')
    .copy('small.txt', '/opt/app/')
  return commands.reduce((template, command) => template.runCmd(command), begun)
}
