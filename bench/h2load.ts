import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { summarize } from '../src/bench/statistics.ts'
import { onCores } from './cpus.ts'

export interface Load {
  perSecond: number
  /** Milliseconds */
  p50: number
  p99: number
  failed: number
}

export interface LoadOptions {
  /** `http://` or `https://`, with the name to ask for */
  url: string
  /** Where that name is, for this load */
  port: number
  version: 'HTTP/1.1' | 'HTTP/2'
  /** Requests at once: one to a connection in HTTP/1.1, over four connections in HTTP/2 */
  concurrency: number
  requests: number
  /** The cores that it runs on; undefined: all */
  cpus: string | undefined
}

/** Asks for one address again and again on this machine's loopback, and measures how long each answer takes. */
export async function h2load({
  url,
  port,
  version,
  concurrency,
  requests,
  cpus,
}: LoadOptions): Promise<Load> {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-h2load-'))
  const log = join(folder, 'log')
  const isHttp2 = version === 'HTTP/2'
  const connections = isHttp2 ? 4 : concurrency
  const args = [
    ...['-n', String(requests), '-c', String(connections), '-m', String(concurrency / connections)],
    ...(isHttp2 ? [] : ['--h1']),
    ...[`--connect-to=127.0.0.1:${port}`, `--log-file=${log}`, url],
  ]
  try {
    const [program, ...all] = onCores(cpus, ['h2load', ...args])
    const { stdout } = await promisify(execFile)(program, all, { timeout: 300_000 })
    const lines = readFileSync(log, 'utf8').trim().split('\n')
    const rows = lines.map((line) => line.split('\t').map(Number))
    const { p50, p99 } = summarize(rows.map(([, , microseconds = 0]) => microseconds / 1000))
    const failed = requests - rows.filter(([, status]) => status === 200).length
    return { perSecond: Number(/([\d.]+) req\/s/.exec(stdout)?.[1] ?? 0), p50, p99, failed }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
