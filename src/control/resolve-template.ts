/** Templates by the identifiers that clients have. */
import { ServerError } from '../domain/error.ts'
import type { Template } from '../domain/template.ts'
import { defaultTag, parseTemplateName, readTemplateName } from '../domain/template-name.ts'
import type { ControlContext } from './context.ts'
import { namespaceOf } from './namespace.ts'
import { findSnapshotById } from './snapshots.ts'

/** The namespace of E2B's own templates, whose names do without it. */
const publicNamespace = 'e2b'
/** Names in the error for one that isn't there. */
const namesMax = 20

/** The template that an identifier means, if the team may see it; its one tag is `default`. */
export async function resolveTemplate(
  { store }: ControlContext,
  teamId: string,
  identifier: string,
): Promise<Template | undefined> {
  const parsed = readTemplateName(identifier)
  if (parsed === undefined) return undefined
  const { namespace, name, tag } = parsed
  if (namespace !== null && namespace !== publicNamespace) return undefined
  if (tag !== null && tag !== defaultTag) return undefined
  return store.templates.resolve(name, teamId)
}

export interface TemplateAlias {
  templateId: string
  isPublic: boolean
}

/**
 * What a name means, whatever tag it has. Errors: `invalid_argument` (no name, or another team's namespace), `not_found`
 * (it is free), `forbidden` (the id of what another team has).
 */
export async function findAlias(ctx: ControlContext, teamId: string, alias: string): Promise<TemplateAlias> {
  const { namespace, name } = parseTemplateName(alias)
  const template = await resolveTemplate(ctx, teamId, namespace === null ? name : `${namespace}/${name}`)
  if (template !== undefined) return { templateId: template.id, isPublic: template.teamId === null }
  const own = await namespaceOf(ctx, teamId)
  if (namespace !== null && namespace !== own && namespace !== publicNamespace) {
    throw new ServerError('invalid_argument', `The namespace of your templates is '${own}'.`)
  }
  if (namespace !== null && namespace !== own) throw await templateNotFound(ctx, teamId, alias)
  const filter = { teamId, name, state: 'ready', internal: false, limit: 1 } as const
  const [named] = await ctx.store.snapshots.list(filter)
  const snapshot = named ?? (await findSnapshotById(ctx, filter))
  if (snapshot !== undefined) return { templateId: snapshot.id, isPublic: false }
  const others = await ctx.store.snapshots.find(name)
  if (others?.state === 'ready' && !others.internal) {
    throw new ServerError('forbidden', "You don't have access to this template alias")
  }
  throw await templateNotFound(ctx, teamId, alias)
}

/** The error for a template that isn't there, or isn't the asker's: it names those that are. */
export async function templateNotFound(
  { store }: ControlContext,
  teamId: string,
  identifier: string,
): Promise<ServerError> {
  const templates = await store.templates.list(teamId, namesMax)
  const names = templates.map(({ id, aliases }) => `"${aliases[0] ?? id}"`)
  return new ServerError(
    'not_found',
    `Template "${identifier}" doesn't exist or you don't have access to it. Templates of this server: ${names.join(', ')}.`,
  )
}
