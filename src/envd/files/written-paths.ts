import { posix } from 'node:path'
import { toError } from '../../domain/error.ts'
import type { Guest } from '../../guest/guest.ts'
import type { PathRequest } from '../../guest/path-request.ts'
import { stat } from '../../guest/stat.ts'

/** Which files a request has written, whatever spellings of their paths it uses. */
export interface WrittenPaths {
  /** Whether a path, as a user spells it, is one of them. Errors: those of `guest/stat.ts` but `not_found`. */
  has(path: string): Promise<boolean>
  /** Adds one by its absolute path. */
  add(path: string): void
}

/**
 * The agent says where a file is when it has opened, and thereby emptied, it; so what a path stands for is worked out
 * here before (spec/guest.md, Users and paths). That takes the user's home, which is asked for once and only where a
 * request has several files.
 */
export function createWrittenPaths(
  guest: Guest,
  user: Pick<PathRequest, 'user'>,
  signal: AbortSignal,
): WrittenPaths {
  const paths = new Set<string>()
  let home: string | undefined

  /** Undefined for a relative path where the home isn't there: then nothing is in it. */
  async function resolve(path: string): Promise<string | undefined> {
    if (path.startsWith('/')) return withoutEmptyParts(path)
    home ??= await findHome(guest, user, signal)
    if (home === undefined) return undefined
    return posix.join(home, path === '~' || path.startsWith('~/') ? path.slice(1) : path)
  }

  return {
    async has(path) {
      const resolved = paths.size === 0 ? undefined : await resolve(path)
      return resolved !== undefined && paths.has(resolved)
    },
    add: (path) => void paths.add(withoutEmptyParts(path)),
  }
}

async function findHome(
  guest: Guest,
  user: Pick<PathRequest, 'user'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await stat(guest, { path: '~', ...user }, signal)).path
  } catch (thrown) {
    if (toError(thrown).code === 'not_found') return undefined
    throw thrown
  }
}

/** Leaves `..` as it is, which in an absolute path means what symbolic links make of it. */
function withoutEmptyParts(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  return `/${parts.join('/')}`
}
