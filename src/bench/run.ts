/** A run of the benchmark: servers one after the other, and everything that is measured of each. */
import type { BenchContext, Measure, Plan } from './context.ts'
import type { Engine } from './engine.ts'
import { measureCreate, measureWarm } from './measures/create.ts'
import { measureIdle, measureServer } from './measures/idle.ts'
import { measureCommands, measureFiles } from './measures/inside.ts'
import { measureCopies, measurePauses } from './measures/lifecycle.ts'
import type { ProcessTree } from './memory.ts'
import type { Figure } from './results.ts'
import { type Connection, openSandboxes } from './sandboxes.ts'

/** `cold`: without guests that are started ahead; `warm`: with them; `given`: as somebody else runs it */
export type ServerKind = 'cold' | 'warm' | 'given'

export interface BenchServer {
  connection: Connection
  processes: ProcessTree | undefined
  untilWarm: BenchContext['untilWarm']
  /** Ends it with what it made; nothing where it is somebody else's. */
  close(): Promise<void>
}

export interface RunOptions {
  kinds: readonly ServerKind[]
  open(kind: ServerKind): Promise<BenchServer>
  engine: Engine | undefined
  plan: Plan
  runId: string
  /** Told what is measured next. */
  say(line: string): void
  signal: AbortSignal
}

const ofSandboxes: Record<string, Measure> = {
  'creates, kills and first commands': measureCreate,
  'pauses and resumes': measurePauses,
  'snapshots and forks': measureCopies,
  commands: measureCommands,
  files: measureFiles,
  'idle sandboxes': measureIdle,
}
const measures: Record<ServerKind, Record<string, Measure>> = {
  cold: { 'memory of the server': measureServer, ...ofSandboxes },
  warm: { 'creates that a guest waits for': measureWarm },
  given: ofSandboxes,
}

/** Errors: the signal's reason, after everything was removed. What else fails becomes a note. */
export async function runMeasures(options: RunOptions): Promise<{ figures: Figure[]; notes: string[] }> {
  const figures: Figure[] = []
  const notes: string[] = []
  try {
    for (const kind of options.kinds) await measureServerOf(kind, options, { figures, notes })
  } finally {
    await options.engine?.close()
  }
  return { figures, notes }
}

async function measureServerOf(
  kind: ServerKind,
  { open, engine, plan, runId, say, signal }: RunOptions,
  { figures, notes }: { figures: Figure[]; notes: string[] },
): Promise<void> {
  say(kind === 'given' ? 'asking the server' : `starting a server (${kind})`)
  const server = await open(kind)
  try {
    const sandboxes = await openSandboxes(server.connection, runId)
    const context: BenchContext = {
      ...{ sandboxes, engine, plan, signal },
      processes: server.processes,
      untilWarm: server.untilWarm,
      record: (figure) => figures.push(figure),
      note: (sentence) => notes.push(sentence),
    }
    for (const [name, measure] of Object.entries(measures[kind])) {
      signal.throwIfAborted()
      say(name)
      try {
        await measure(context)
      } catch (error) {
        if (!signal.aborted) notes.push(`${name}: broke off: ${(error as Error).message}`)
      } finally {
        // Only what a broken one has left: each removes what it made.
        await sandboxes.close()
      }
    }
    signal.throwIfAborted()
  } finally {
    await server.close()
  }
}
