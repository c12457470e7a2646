/**
 * `npm run bench`: every figure the project claims, each beside a baseline measured in the same run on the same
 * machine. Prints a table; asserts nothing.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
import { openSqliteStore } from '../src/store/dialects/sqlite.ts'
import { startTestServer, type TestServer } from '../tests/support/server.ts'
import { baseImage, docker, dockerRemove, dockerRun } from './docker-cli.ts'
import { sample, summarize, timed } from './measure.ts'

const MB = 1024 * 1024
const rows: [string, string, string][] = []
const ms = (value: number) => `${value.toFixed(1)} ms`
const spread = (durations: number[]) => {
  const { count, p50, p95, p99 } = summarize(durations)
  return `p50 ${ms(p50)}  p95 ${ms(p95)}  p99 ${ms(p99)}  (n=${count})`
}
const rate = (durations: number[], megabytes: number) =>
  `${(megabytes / (summarize(durations).p50 / 1000)).toFixed(0)} MB/s  (n=${durations.length})`

function report(what: string, ours: string, baseline: string): void {
  rows.push([what, ours, baseline])
  console.log(`${what}\n    e2b-server: ${ours}\n    baseline:   ${baseline}`)
}

console.log(
  `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`,
)
console.log(`engine ${await docker('version', '--format', '{{.Server.Version}}')}, image ${baseImage}\n`)

await using server = await startTestServer()
const idleServerBytes = memoryOf(server.pid())
await benchCreate()
await benchCommands()
await benchFiles()
await benchMemory(server)
printTable()

async function benchCreate(): Promise<void> {
  for (const [count, parallel] of [
    [30, 1],
    [40, 10],
  ] as const) {
    const sandboxes: Sandbox[] = []
    const ours = await sample(async () => sandboxes.push(await Sandbox.create({ timeoutMs: 600_000 })), {
      count,
      parallel,
      warmUp: 1,
    })
    const kills = await sample((i) => sandboxes[i + 1]!.kill(), { count, parallel })
    await sandboxes[0]!.kill()
    const ids: string[] = []
    const baseline = await sample(async () => ids.push(await dockerRun()), { count, parallel, warmUp: 1 })
    const removals = await sample((i) => dockerRemove([ids[i + 1]!]), { count, parallel })
    await dockerRemove([ids[0]!])
    report(`create, ${parallel} at once | docker run -d`, spread(ours), spread(baseline))
    report(`kill, ${parallel} at once | docker rm -f`, spread(kills), spread(removals))
  }
}

async function benchCommands(): Promise<void> {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const container = await dockerRun()
  const ours = await sample(() => sandbox.commands.run('true'), { count: 300, warmUp: 20 })
  const baseline = await sample(() => docker('exec', container, 'bash', '-l', '-c', 'true'), {
    count: 60,
    warmUp: 3,
  })
  report("commands.run('true') | docker exec … bash -l -c true", spread(ours), spread(baseline))

  const burst = await timed(() =>
    Promise.all(Array.from({ length: 200 }, () => sandbox.commands.run('true'))),
  )
  const shells = await timed(() =>
    docker('exec', container, 'bash', '-c', 'for i in $(seq 200); do bash -l -c true & done; wait'),
  )
  report('200 commands at once, wall time | the shells alone', ms(burst), ms(shells))

  const output = await timed(() =>
    sandbox.commands.run('head -c 100000000 /dev/zero | tr "\\0" x', { timeoutMs: 0 }),
  )
  const piped = await timed(() => pipeThrough(container, 'head -c 100000000 /dev/zero | tr "\\0" x'))
  report(
    '100 MB of output | docker exec',
    `${(1e5 / output).toFixed(0)} MB/s`,
    `${(1e5 / piped).toFixed(0)} MB/s`,
  )
  await dockerRemove([container])
  await sandbox.kill()
}

async function benchFiles(): Promise<void> {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const container = await dockerRun()
  const folder = await mkdtemp(join(tmpdir(), 'e2b-bench-'))
  const small = 'x'.repeat(1024)
  await writeFile(join(folder, 'small'), small)
  await writeFile(join(folder, 'large'), randomBytes(100 * MB))

  const copyIn = (name: string) => docker('cp', join(folder, name), `${container}:/tmp/${name}`)
  const copyOut = (name: string) => docker('cp', `${container}:/tmp/${name}`, join(folder, `${name}.out`))
  const writes = await sample(() => sandbox.files.write('small', small), { count: 200, warmUp: 10 })
  const writesBaseline = await sample(() => copyIn('small'), { count: 20, warmUp: 2 })
  report('write 1 KB | docker cp in', spread(writes), spread(writesBaseline))
  const reads = await sample(() => sandbox.files.read('small'), { count: 200, warmUp: 10 })
  const readsBaseline = await sample(() => copyOut('small'), { count: 20, warmUp: 2 })
  report('read 1 KB | docker cp out', spread(reads), spread(readsBaseline))

  const body = new Blob([readFileSync(join(folder, 'large'))])
  const uploads = await sample(() => sandbox.files.write('large', body), { count: 5, warmUp: 1 })
  const uploadsBaseline = await sample(() => copyIn('large'), { count: 5, warmUp: 1 })
  report('upload 100 MB | docker cp in', rate(uploads, 100), rate(uploadsBaseline, 100))
  const downloads = await sample(() => sandbox.files.read('large', { format: 'bytes' }), {
    count: 5,
    warmUp: 1,
  })
  const downloadsBaseline = await sample(() => copyOut('large'), { count: 5, warmUp: 1 })
  report('download 100 MB | docker cp out', rate(downloads, 100), rate(downloadsBaseline, 100))

  await rm(folder, { recursive: true })
  await dockerRemove([container])
  await sandbox.kill()
}

async function benchMemory({ stateDir, pid }: TestServer): Promise<void> {
  const sandboxes = await Promise.all(
    Array.from({ length: 10 }, () => Sandbox.create({ timeoutMs: 600_000 })),
  )
  const container = await dockerRun()
  const store = await openSqliteStore({ path: join(stateDir, 'e2b-server.db') })
  const label = `label=e2b-server.instance=${store.instanceId}`
  await store.close()
  const ids = (await docker('ps', '-q', '--filter', label)).split('\n')
  const agents = await Promise.all(ids.map(async (id) => privateMemory(await pidOf(id))))
  const baseline = privateMemory(await pidOf(container))
  const perSandbox = agents.reduce((sum, bytes) => sum + bytes, 0) / agents.length
  report(
    'memory inside an idle sandbox (private) | sleep in a container',
    `${(perSandbox / 1024).toFixed(0)} KB  (n=${agents.length})`,
    `${(baseline / 1024).toFixed(0)} KB`,
  )
  const shims = await shimMemory(container)
  report(
    'server RSS, idle at its start (at the end of this run, with 10 sandboxes) | one containerd-shim',
    `${(idleServerBytes / MB).toFixed(0)} MB (${(memoryOf(pid()) / MB).toFixed(0)} MB)`,
    shims,
  )
  await dockerRemove([container])
  await Promise.all(sandboxes.map((sandbox) => sandbox.kill()))
}

async function pidOf(container: string): Promise<number> {
  return Number(await docker('inspect', '--format', '{{.State.Pid}}', container))
}

/** Private memory of a process in bytes. */
function privateMemory(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return [...rollup.matchAll(/^Private_\w+:\s+(\d+) kB/gm)].reduce(
    (sum, match) => sum + Number(match[1]) * 1024,
    0,
  )
}

/** Resident memory of a process in bytes. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

async function shimMemory(container: string): Promise<string> {
  const status = readFileSync(`/proc/${await pidOf(container)}/status`, 'utf8')
  const shim = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1])
  return `${(memoryOf(shim) / MB).toFixed(0)} MB`
}

async function pipeThrough(container: string, command: string): Promise<void> {
  await promisify(execFile)('sh', [
    '-c',
    `docker exec ${container} bash -l -c '${command}' | cat > /dev/null`,
  ])
}

function printTable(): void {
  console.log('\n| measured | e2b-server | baseline |\n|---|---|---|')
  for (const [what, ours, baseline] of rows) {
    const [subject, against] = what.split(' | ')
    console.log(`| ${subject} | ${ours} | ${against}: ${baseline} |`)
  }
}
