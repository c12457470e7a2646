/** What the steps of a build do inside a guest. */
import { ServerError, toError } from '../domain/error.ts'
import type { BuildStep } from '../domain/template-builder.ts'
import type { Guest } from '../guest/guest.ts'
import { makeDir } from '../guest/make-dir.ts'
import { type BuildState, expand, resolvePath, withEnv } from './build-state.ts'
import { type CopySource, copyFiles } from './copy-files.ts'
import { makeUser } from './make-user.ts'
import { runCommand } from './run-command.ts'

/** Longest part of a command that a message says, in characters. */
const shownMaxLength = 2000

export interface StepContext {
  guest: Guest
  /** Takes a line that a command puts out */
  onLine: (stream: 'stdout' | 'stderr', line: string) => Promise<void>
  files: CopySource
  /** As `BuilderParts.commandEnv` */
  commandEnv: Record<string, string>
  signal: AbortSignal
}

export interface StepOutcome {
  state: BuildState
  /** Whether files may be others than before */
  changed: boolean
}

/** A step as the log says it. */
export function describeStep(step: BuildStep): string {
  switch (step.type) {
    case 'RUN':
      return `RUN ${step.command}`
    case 'COPY':
      return `COPY ${step.source} ${step.destination}`
    case 'ENV':
      return `ENV ${step.pairs.map(([name, value]) => `${name}=${value}`).join(' ')}`
    case 'WORKDIR':
      return `WORKDIR ${step.path}`
    case 'USER':
      return `USER ${step.name}`
  }
}

/** What a step does that needs no guest; undefined where it needs one. Errors: `invalid_argument`. */
export function applyStep(step: BuildStep, state: BuildState): BuildState | undefined {
  return step.type === 'ENV' ? withEnv(state, step.pairs) : undefined
}

/** Errors: `failed_precondition` and `invalid_argument`, saying what is wrong with the step; those of `Guest`. */
export function runStep(
  step: Exclude<BuildStep, { type: 'ENV' }>,
  state: BuildState,
  context: StepContext,
): Promise<StepOutcome> {
  switch (step.type) {
    case 'RUN':
      return run(step, state, context)
    case 'COPY':
      return copy(step, state, context)
    case 'WORKDIR':
      return changeDirectory(step, state, context)
    case 'USER':
      return changeUser(step, state, context)
  }
}

/** The texts of its errors are E2B's, which programs compare (e2b-wire 4.3). */
async function run(
  { command, user }: Extract<BuildStep, { type: 'RUN' }>,
  state: BuildState,
  { guest, onLine, commandEnv, signal }: StepContext,
): Promise<StepOutcome> {
  const shown = command.length > shownMaxLength ? `${command.slice(0, shownMaxLength)}…` : command
  const fail = (reason: string, cause?: unknown) =>
    new ServerError('failed_precondition', `failed to run command '${shown}': ${reason}`, { cause })
  const as = { ...state, env: { ...commandEnv, ...state.env }, user: user ?? state.user }
  const exit = await runCommand(guest, command, as, { onLine, signal }).catch((thrown) => {
    signal.throwIfAborted()
    const error = toError(thrown)
    if (error.code === 'internal') throw error
    throw fail(`command failed: ${error.code}: ${error.message}`, thrown)
  })
  if (exit.exitCode !== 0) throw fail(exit.status)
  return { state, changed: true }
}

async function copy(
  step: Extract<BuildStep, { type: 'COPY' }>,
  state: BuildState,
  { guest, files, signal }: StepContext,
): Promise<StepOutcome> {
  try {
    await copyFiles(guest, step, state, { files, signal })
  } catch (thrown) {
    signal.throwIfAborted()
    const { code, message } = toError(thrown)
    if (code === 'internal') throw thrown
    const what = `failed to copy '${step.source}' to '${step.destination}'`
    throw new ServerError('failed_precondition', `${what}: ${message}`, { cause: thrown })
  }
  return { state, changed: true }
}

/** Whose directories are missing gets them; what is there stays as it is. */
async function changeDirectory(
  step: Extract<BuildStep, { type: 'WORKDIR' }>,
  state: BuildState,
  { guest, signal }: StepContext,
): Promise<StepOutcome> {
  const path = resolvePath(state, expand(state, step.path))
  const changed = await makeDir(guest, { path, user: state.user }, signal).then(
    () => true,
    (error) => {
      if (error instanceof ServerError && error.code === 'conflict') return false
      throw error
    },
  )
  return { state: { ...state, workdir: path }, changed }
}

async function changeUser(
  step: Extract<BuildStep, { type: 'USER' }>,
  state: BuildState,
  { guest, signal }: StepContext,
): Promise<StepOutcome> {
  const { user, created } = await makeUser(guest, expand(state, step.name), signal)
  return { state: { ...state, user }, changed: created }
}
