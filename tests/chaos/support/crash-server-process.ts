/** The server of `crash-server.ts` as a child, bundled once. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { build } from 'esbuild'
import { bundleOptions } from '../../../scripts/setup/step-bundle.mjs'
import type { Armed } from './crash-server.ts'

export interface CrashServer {
  readonly url: string
  readonly apiKey: string
  /** From the next step on: dies before the step of that number, or writes them down. */
  arm(dieAt: number | null): Promise<void>
  /** The steps since it was armed. */
  steps(): Promise<string[]>
  /** Resolves when the process has ended. */
  ended: Promise<unknown>
  /** Ends it with all that it has made. */
  end(): Promise<void>
}

const root = join(import.meta.dirname, '../../..')
const bundle = join(root, 'build/crash-server.mjs')
const startTimeoutMs = 60_000

/** As the server itself is: it is started some hundred times, and files of its packages would be most of that. */
export async function bundleCrashServer(): Promise<void> {
  const entryPoints = [{ in: 'tests/chaos/support/crash-server.ts', out: basename(bundle, '.mjs') }]
  await build(bundleOptions({ root, entryPoints, outdir: dirname(bundle) }))
}

export async function startCrashServer(stateDir: string): Promise<CrashServer> {
  const child = fork(bundle, [stateDir], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], cwd: root })
  const ended = once(child, 'exit')
  const { url } = await answer<{ url: string }>(child, ended, undefined)
  const ask = <T>(message: Armed | 'steps') => answer<T>(child, ended, message)
  return {
    url,
    apiKey: readFileSync(join(stateDir, 'api-key'), 'utf8').trim(),
    ended,
    arm: async (dieAt) => void (await ask({ dieAt })),
    steps: async () => (await ask<{ steps: string[] }>('steps')).steps,
    async end() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await ended
    },
  }
}

async function answer<T>(
  child: ChildProcess,
  ended: Promise<unknown>,
  question: Armed | 'steps' | undefined,
): Promise<T> {
  const next = once(child, 'message', { signal: AbortSignal.timeout(startTimeoutMs) })
  next.catch(() => {})
  if (question !== undefined) child.send(question)
  const died = ended.then(() => {
    throw new Error('the server ended instead of answering')
  })
  died.catch(() => {})
  return (await Promise.race([next, died]))[0]
}
