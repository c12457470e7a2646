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
  /** Names of measures; undefined: all */
  only?: readonly string[] | undefined
  open(kind: ServerKind): Promise<BenchServer>
  engine: Engine | undefined
  plan: Plan
  runId: string
  /** Told what is measured next. */
  say(line: string): void
  signal: AbortSignal
}

const ofSandboxes = {
  creates: measureCreate,
  pauses: measurePauses,
  copies: measureCopies,
  commands: measureCommands,
  files: measureFiles,
  idle: measureIdle,
}
/** What is measured of each kind of server, by the names that `only` has */
export const measures: Record<ServerKind, Record<string, Measure>> = {
  cold: { server: measureServer, ...ofSandboxes },
  warm: { warm: measureWarm },
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
  { open, only, engine, plan, runId, say, signal }: RunOptions,
  { figures, notes }: { figures: Figure[]; notes: string[] },
): Promise<void> {
  const chosen = Object.entries(measures[kind]).filter(([name]) => only?.includes(name) ?? true)
  if (chosen.length === 0) return
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
    for (const [name, measure] of chosen) {
      signal.throwIfAborted()
      say(`measuring: ${name}`)
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
    // What was measured isn't lost by that.
    await server.close().catch((error: Error) => notes.push(`The server left something: ${error.message}`))
  }
}
