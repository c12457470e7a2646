import { posix } from 'node:path'
import { ServerError } from '../domain/error.ts'
import { noDefaults, type SandboxDefaults } from '../domain/template-build.ts'
import { expandedMaxLength, expandVariables } from './expand-variables.ts'

/** What a step runs with, beside the files that the steps before it have left. */
export interface BuildState {
  env: Record<string, string>
  user: string
  /** Null: the user's home */
  workdir: string | null
}

/** Whom steps run as, and where, until one of them says otherwise. */
export type BuildDefaults = Pick<BuildState, 'user' | 'workdir'>

/** Most that the variables of a build may take, names and values, in characters. */
const envMaxLength = 512 * 1024
/** What the agent gives every process (spec/guest.md, exec). */
const agentPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Where a build begins that goes on from what a template, or an image, says. */
export function stateAfter(
  { env, user, workdir }: Partial<SandboxDefaults>,
  defaults: BuildDefaults,
): BuildState {
  return { env: env ?? {}, user: user ?? defaults.user, workdir: workdir ?? defaults.workdir }
}

/** The state as sandboxes and later builds take it over. */
export function defaultsOf({ env, user, workdir }: BuildState): SandboxDefaults {
  return { ...noDefaults, env, user, workdir }
}

/** The state with more variables; their values may refer to earlier ones. Errors: `invalid_argument` (too long). */
export function withEnv(state: BuildState, pairs: readonly (readonly [string, string])[]): BuildState {
  const env = { ...state.env }
  for (const [name, value] of pairs) env[name] = expand({ ...state, env }, value)
  const length = Object.entries(env).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (length <= envMaxLength) return { ...state, env }
  throw new ServerError(
    'invalid_argument',
    `The variables are longer than ${envMaxLength / 1024} KiB together.`,
  )
}

/** A text with the state's variables put in. Errors: `invalid_argument` (too long). */
export function expand({ env, user }: BuildState, text: string): string {
  const home = user === 'root' ? '/root' : `/home/${user}`
  const expanded = expandVariables(text, { PATH: agentPath, HOME: home, USER: user, LOGNAME: user, ...env })
  if (expanded !== undefined) return expanded
  throw new ServerError('invalid_argument', `A value is longer than ${expandedMaxLength / 1024} KiB.`)
}

/** What a path means there; one below the user's home may begin with `~`. */
export function resolvePath({ workdir }: BuildState, path: string): string {
  if (path.startsWith('/') || path === '~' || path.startsWith('~/')) return path
  return posix.join(workdir ?? '~', path)
}
