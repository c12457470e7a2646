/** Names of templates and snapshots as clients write them: `name`, `name:tag`, `namespace/name`, `namespace/name:tag`. */
import { ServerError } from './error.ts'

export interface TemplateName {
  /** Null: the asker's own */
  namespace: string | null
  name: string
  /** Null: none was given, which means `default` */
  tag: string | null
}

/** The tag that is meant where none is given (e2b-wire 2.2). */
export const defaultTag = 'default'

const nameMaxLength = 128
/** What is no tag, because builds are called so (e2b-wire 2.2). */
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** What a sandbox may be asked for by: a name with a tag or with the id of a build, `name:build_id` */
export interface BuildReference extends TemplateName {
  /** Null: none was given, the tag is meant */
  buildId: string | null
}

/** A reference in lower case, undefined where the text isn't one. */
export function readBuildReference(text: string): BuildReference | undefined {
  const colon = text.lastIndexOf(':')
  const after = text.slice(colon + 1).toLowerCase()
  const buildId = colon >= 0 && uuid.test(after) ? after : null
  const name = readTemplateName(buildId === null ? text : text.slice(0, colon))
  return name === undefined || (buildId !== null && name.tag !== null) ? undefined : { ...name, buildId }
}

/** A name in lower case, undefined where the text isn't one. */
export function readTemplateName(text: string): TemplateName | undefined {
  const match = /^(?:([a-z0-9_-]+)\/)?([a-z0-9_-]+)(?::([a-z0-9_.-]+))?$/.exec(text.toLowerCase())
  if (match === null || text.length > 3 * nameMaxLength) return undefined
  const [, namespace = null, name = '', tag = null] = match
  if (tag !== null && uuid.test(tag)) return undefined
  return name.length > nameMaxLength ? undefined : { namespace, name, tag }
}

/** Errors: `invalid_argument`. */
export function parseTemplateName(text: string): TemplateName {
  const name = readTemplateName(text)
  if (name !== undefined) return name
  throw new ServerError(
    'invalid_argument',
    `Invalid name '${text.slice(0, 64)}': use letters, digits, '-' and '_', at most ${nameMaxLength}, with an optional ':tag' that is no UUID.`,
  )
}

/** A tag alone, in lower case. Errors: `invalid_argument`. */
export function parseTag(text: string): string {
  const tag = text.toLowerCase()
  if (/^[a-z0-9_.-]+$/.test(tag) && tag.length <= nameMaxLength && !uuid.test(tag)) return tag
  throw new ServerError(
    'invalid_argument',
    `Invalid tag '${text.slice(0, 64)}': use letters, digits, '-', '_' and '.', at most ${nameMaxLength}, and no UUID.`,
  )
}
