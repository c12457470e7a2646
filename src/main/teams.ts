/** Teams as the command line names them. */
import { randomUUID } from 'node:crypto'
import type { z } from 'zod'
import type { Flags, TeamRow } from '../cli/actions.ts'
import { ServerError } from '../domain/error.ts'
import type { Store } from '../domain/store.ts'
import { isSlug, type Team, type TeamLimits } from '../domain/team.ts'
import { ConfigError, hourLimit, limit } from './config.ts'

/** The id of the team that a server starts with. */
export async function ensureTeam(store: Store): Promise<string> {
  const first = await store.teams.first()
  if (first !== undefined) return first.id
  const team: Team = { id: randomUUID(), name: 'default', slug: 'default', createdAt: Date.now(), limits: {} }
  await store.teams.create(team)
  return team.id
}

/** A team by its slug or its id. Errors: `not_found`. */
export async function requireTeam(store: Store, slugOrId: string): Promise<Team> {
  const team = (await store.teams.findBySlug(slugOrId)) ?? (await store.teams.find(slugOrId))
  if (team !== undefined) return team
  throw new ServerError('not_found', `There is no team '${slugOrId}'. "e2b-server teams list" shows them.`)
}

/** A new team, without a key. Errors: `ConfigError` (slug), `conflict`. */
export async function createTeam(store: Store, slug: string, name: string | undefined): Promise<TeamRow> {
  if (!isSlug(slug)) {
    throw new ConfigError(
      'A team’s slug has 1 to 63 lower-case letters, digits, dashes and underscores, and begins with a letter or digit.',
    )
  }
  const team: Team = { id: randomUUID(), name: name ?? slug, slug, createdAt: Date.now(), limits: {} }
  await store.teams.create(team)
  return toRow(team)
}

export async function listTeams(store: Store): Promise<TeamRow[]> {
  return (await store.teams.list()).map(toRow)
}

/**
 * Sets the limits that flags name. A running server goes by them from the next sandbox on. Errors: `ConfigError`,
 * `not_found`.
 */
export async function changeLimits(store: Store, slugOrId: string, flags: Flags): Promise<TeamRow> {
  const team = await requireTeam(store, slugOrId)
  const limits = { ...team.limits }
  for (const [name, [flag, schema]] of Object.entries(settings) as [keyof TeamLimits, Setting][]) {
    const given = flags[flag]
    if (given === 'default') delete limits[name]
    else if (given !== undefined) limits[name] = parseLimit(schema, given)
  }
  await store.teams.setLimits(team.id, limits)
  return toRow({ ...team, limits })
}

/** A flag's name and what it takes. */
type Setting = [flag: string, schema: z.ZodType<number | null>]

const settings: Record<keyof TeamLimits, Setting> = {
  runningSandboxes: ['sandboxes', limit('--sandboxes')],
  vcpu: ['vcpu', limit('--vcpu')],
  memoryMb: ['memoryMb', limit('--memory-mb')],
  createsPerSecond: ['createsPerSecond', limit('--creates-per-second', 'any')],
  lifetimeS: ['lifetimeHours', hourLimit('--lifetime-hours')],
}

function parseLimit(schema: Setting[1], given: string | boolean): number | null {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  throw new ConfigError(`${parsed.error.issues[0]?.message}, or one of "unlimited" and "default".`)
}

function toRow({ id, slug, name, createdAt, limits }: Team): TeamRow {
  const show = (value: number | null | undefined, scale = 1) => {
    if (value === undefined) return 'default'
    return value === null ? 'unlimited' : String(value / scale)
  }
  return {
    id,
    slug,
    name,
    createdAt: new Date(createdAt),
    limits: {
      sandboxes: show(limits.runningSandboxes),
      vcpu: show(limits.vcpu),
      'memory-mb': show(limits.memoryMb),
      'creates-per-second': show(limits.createsPerSecond),
      'lifetime-hours': show(limits.lifetimeS, 3600),
    },
  }
}
