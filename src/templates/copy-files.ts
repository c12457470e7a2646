import type { Readable } from 'node:stream'
import type { BuildStep } from '../domain/template-builder.ts'
import type { Guest } from '../guest/guest.ts'
import { unpack } from '../guest/unpack.ts'
import { type BuildState, expand, resolvePath } from './build-state.ts'
import { buildTimeouts, within } from './timeouts.ts'

/** Where the archives of a team are. */
export interface CopySource {
  /** Errors: `not_found`. */
  open: (filesHash: string) => Promise<Readable>
  /** Most that the files of one step may have together, in bytes */
  maxBytes: number
}

/** Most files and directories of one step. */
const maxEntries = 1_000_000

/** Copies files of an archive into a guest. Errors: `not_found` (the archive), those of `unpack`. */
export function copyFiles(
  guest: Guest,
  { source, destination, user, mode, filesHash }: Extract<BuildStep, { type: 'COPY' }>,
  state: BuildState,
  { files, signal }: { files: CopySource; signal: AbortSignal },
): Promise<void> {
  return within(buildTimeouts.copyMs, 'Copying', signal, async (bounded) => {
    const archive = await files.open(filesHash)
    try {
      const request = {
        src: source,
        dest: destinationOf(state, destination),
        user: user ?? state.user,
        ...(mode !== null && { mode: mode.toString(8) }),
        maxBytes: files.maxBytes,
        maxEntries,
      }
      await unpack(guest, request, archive, bounded)
    } finally {
      archive.destroy()
    }
  })
}

/** Absolute, or relative to the owner's home, which is what the agent takes a relative one for. */
function destinationOf(state: BuildState, destination: string): string {
  const path = resolvePath(state, expand(state, destination))
  // `.` and the like are directories, which only their end tells.
  const named = /(^|\/)\.{0,2}$/.test(destination) && !path.endsWith('/') ? `${path}/` : path
  return named.startsWith('~') ? named.slice(1).replace(/^\/+/, '') || '.' : named
}
