/** `e2b-server bench`: what it measures, on what, and where the results go. */
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { availableParallelism, cpus, freemem, release, totalmem } from 'node:os'
import { chartOf } from '../../bench/chart.ts'
import { compareResults } from '../../bench/compare.ts'
import type { Plan } from '../../bench/context.ts'
import { openEngine } from '../../bench/engine.ts'
import { type Environment, type Results, resultsSchema } from '../../bench/results.ts'
import { type BenchServer, runMeasures, type ServerKind } from '../../bench/run.ts'
import { environmentLine, figuresTable, notesLines, targetsTable } from '../../bench/table.ts'
import { targetsOf } from '../../bench/targets.ts'
import type { BenchRequest } from '../../cli/actions.ts'
import { ConfigError } from '../config.ts'
import { baseImage, packageVersion, programVersion } from '../installation.ts'
import { type ResultFile, requireWritable, writeResults } from './result-files.ts'
import { startBenchServer } from './server.ts'

const full: Plan = {
  concurrency: [1, 10, 50, 100],
  creates: 100,
  runs: 30,
  largeRuns: 10,
  largeMb: 100,
  idle: 1000,
  settleMs: 3000,
  pauseMs: 1000,
}
const quick: Plan = {
  concurrency: [1, 10],
  creates: 10,
  runs: 10,
  largeRuns: 3,
  largeMb: 10,
  idle: 20,
  settleMs: 3000,
  pauseMs: 1000,
}
/** What an idle sandbox may at most be thought to take where the number of them is chosen, in bytes */
const idleBytes = 8 * 2 ** 20
const fileMaxBytes = 16 * 2 ** 20

/**
 * Runs it, and tells lines for a terminal. Ends by the signal with everything removed that it made. Errors: `ConfigError`
 * for what was asked; the signal's reason.
 */
export async function bench(
  request: BenchRequest,
  { program, signal, print, progress }: BenchIo,
): Promise<void> {
  const earlier = request.compare === undefined ? undefined : await readResults(request.compare)
  const files = filesOf(request)
  for (const file of files) await requireWritable(file)
  const plan = planOf(request)
  const runId = randomBytes(6).toString('hex')
  const engine = await openEngine({ image: baseImage(), runId, signal })
  let runtime = request.url === undefined ? request.runtime : 'unknown (a server that runs)'
  const open = async (kind: ServerKind): Promise<BenchServer> => {
    if (request.url !== undefined) return givenServer(request)
    const server = await startBenchServer({
      program,
      runtime: request.runtime,
      isWarm: kind === 'warm',
      signal,
    })
    runtime = server.runtime
    return server
  }
  const { figures, notes } = await runMeasures({
    kinds: request.url === undefined ? ['cold', 'warm'] : ['given'],
    ...{ open, plan, runId, signal, only: request.only },
    engine: typeof engine === 'string' ? undefined : engine,
    say: progress,
  })
  if (typeof engine === 'string') notes.push(`Nothing to compare with: ${engine}.`)
  if (!figures.some(({ id }) => id === 'memory.each')) {
    notes.push('Memory is measured only of a server that the benchmark starts itself, as root.')
  }
  const version = typeof engine === 'string' ? null : engine.version
  const results: Results = { ...environmentOf(runtime, version), figures, notes }
  for (const line of reportOf(results, earlier)) print(line)
  const texts = {
    '--json': () => `${JSON.stringify(results, null, 2)}\n`,
    '--svg': () => chartOf(results, figures),
  }
  // One that fails keeps no other from being written.
  const written = await Promise.allSettled(files.map((file) => writeResults(file, texts[file.flag]())))
  for (const each of written) if (each.status === 'rejected') throw each.reason
}

function filesOf({ json, svg }: BenchRequest): ResultFile[] {
  const files: ResultFile[] = []
  if (json !== undefined) files.push({ flag: '--json', path: json })
  if (svg !== undefined) files.push({ flag: '--svg', path: svg })
  return files
}

export interface BenchIo {
  /** Starts `e2b-server`, as arguments of this Node.js */
  program: readonly string[]
  signal: AbortSignal
  print(line: string): void
  progress(line: string): void
}

function reportOf(results: Results, earlier: Results | undefined): string[] {
  return [
    environmentLine(results),
    '',
    ...figuresTable(results.figures),
    '',
    ...targetsTable(targetsOf(results.figures)),
    ...notesLines(results),
    ...(earlier === undefined ? [] : ['', ...compareResults(earlier, results)]),
  ]
}

function planOf({ isQuick, idle }: BenchRequest): Plan {
  const plan = isQuick ? quick : full
  const most = Math.floor(freemem() / idleBytes)
  return { ...plan, idle: idle ?? Math.min(plan.idle, most) }
}

function givenServer({ url, sandboxUrl, apiKey }: BenchRequest): BenchServer {
  if (url === undefined || apiKey === undefined) {
    throw new ConfigError('--url needs a key of that server: --api-key, or E2B_API_KEY.')
  }
  return {
    connection: { url, sandboxUrl: sandboxUrl ?? url, apiKey },
    processes: undefined,
    untilWarm: undefined,
    close: async () => {},
  }
}

function environmentOf(runtime: string, engine: string | null): Environment {
  return {
    at: new Date().toISOString(),
    version: programVersion(),
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cpus: availableParallelism(),
      memoryMb: Math.round(totalmem() / 2 ** 20),
      kernel: release(),
      node: process.versions.node,
    },
    runtime,
    client: `the SDK e2b ${packageVersion('e2b')}`,
    engine,
  }
}

/** Errors: `ConfigError` for what isn't the JSON of an earlier run. */
async function readResults(path: string): Promise<Results> {
  try {
    if ((await stat(path)).size > fileMaxBytes) throw new Error('it is too large')
    return resultsSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw new ConfigError(
      `${path} is no result of "bench --json": ${(error as Error).message.split('\n')[0]}.`,
    )
  }
}
