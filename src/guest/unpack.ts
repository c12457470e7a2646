import { openCall } from './call.ts'
import { feed, readFields } from './exchange.ts'
import { frameType } from './frames.ts'
import type { Guest } from './guest.ts'
import { treeTimeoutMs } from './path-request.ts'

/** One source of a COPY step; the archive is of the directory that sources are relative to. */
export interface UnpackRequest {
  /** A file, a directory or a pattern (`*`, `?`, `[…]`, `**`, `{a,b}`) of the archive; `.` is all of it */
  src: string
  /** A directory where it ends in `/` or is one; relative to `cwd` */
  dest: string
  /** Absolute; absent: the owner's home */
  cwd?: string
  /** The owner of all that is made: `user` or `user:group`, names or numbers. Absent: the default user */
  user?: string
  /** Octal, for files and directories alike; absent or empty: what the archive says */
  mode?: string
  /** Most that the files may have together, in bytes */
  maxBytes: number
  /** Most entries of all kinds */
  maxEntries: number
}

/** What an archive had. */
export interface Unpacked {
  /** All but directories */
  files: number
  bytes: number
}

/**
 * Puts what `src` names of a tar or tar.gz in its place by Docker's rules (spec/guest.md, unpack), reading `archive` at the
 * pace it is unpacked. Nothing is left of an archive that is refused. The source belongs to the caller, who ends it where
 * this rejects. Errors: `invalid_argument` (the archive, `src`, `dest`, `mode`, a group), `not_found` (`src`),
 * `unauthenticated` (user), `resource_exhausted` (the limits, the disk), `failed_precondition` (a place that can't be
 * written to), `unavailable`, `canceled`; what the source throws, as it is.
 */
export async function unpack(
  guest: Guest,
  request: UnpackRequest,
  archive: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Unpacked> {
  const options = {
    signal,
    // It answers when it has had the archive's end and put everything in place.
    answersAfterBytes: Number.MAX_SAFE_INTEGER,
    replyTimeoutMs: treeTimeoutMs,
  }
  const call = await openCall(guest, { ...request, op: 'unpack' }, options)
  const outcome = readFields(call, frameType.reply).then((reply) => ({
    files: reply.integer('files', 0, Number.MAX_SAFE_INTEGER),
    bytes: reply.integer('bytes', 0, Number.MAX_SAFE_INTEGER),
  }))
  return feed(call, archive, outcome)
}
