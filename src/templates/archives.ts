/**
 * The archives that COPY steps read, one file for each team and hash. An upload goes to a name of its own and takes the place
 * of what is there when it is whole; the record comes after the file. What a crash leaves is removed when the next server
 * starts: halves, and files that have no record.
 */
import { chmod, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { ServerError } from '../domain/error.ts'
import type { TemplateArchives } from '../domain/template-archives.ts'
import type { TemplateFile, TemplateFileStore } from '../domain/template-layer.ts'
import type { Clock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import { createUploadLinks } from './upload-links.ts'
import { writeBody } from './write-body.ts'

export interface ArchivesOptions {
  /** Of this alone; made where it isn't there */
  folder: string
  files: TemplateFileStore
  /** Largest archive, in bytes */
  maxBytes: number
  /** Most that one team's archives have together, in bytes */
  teamMaxBytes: number
  /** What uploads leave free on the disk, in bytes */
  keepFreeBytes: number
  clock: Clock
  log: Log
}

/** Uploads at a time: of one team, and of all. */
const uploadsMax = { team: 32, all: 128 }
/** An archive that was used within this time isn't removed for another, in ms: a build may be about to read it. */
const usedRecentlyMs = 2 * 3_600_000
/** When those that find no place may come again, in seconds. */
const busyRetryAfterS = 5
const mib = 2 ** 20

/** Ready when it resolves: halves and what has no record are gone. */
export async function openArchives(options: ArchivesOptions): Promise<TemplateArchives> {
  const { folder, files, maxBytes, teamMaxBytes, keepFreeBytes, clock, log } = options
  const links = createUploadLinks(() => clock.now())
  /** What is on its way, by team */
  const underWay = new Map<string, { uploads: number; bytes: number }>()
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  await removeStray(folder, files)

  return {
    maxBytes,

    async has(teamId, hash) {
      if ((await files.find(teamId, hash)) === undefined) return false
      const found = await stat(pathOf(folder, teamId, hash)).catch(() => undefined)
      if (found === undefined) await files.remove(teamId, hash)
      else await files.touch(teamId, hash, clock.now())
      return found !== undefined
    },

    createLink: (teamId, hash) => links.create({ teamId, hash }),

    async receive(secret, { body, sizeBytes }, signal) {
      const link = links.take(secret)
      if (link === undefined) {
        throw new ServerError('forbidden', 'This upload link is unknown, used or expired: ask for a new one.')
      }
      const done = enter(link.teamId, sizeBytes)
      try {
        await makeRoom(link, sizeBytes)
        await keep({ ...link, sizeBytes, createdAt: clock.now(), lastUsedAt: clock.now() }, body, signal)
      } finally {
        done()
      }
    },

    async open(teamId, hash) {
      const file = await open(pathOf(folder, teamId, hash), 'r').catch(() => undefined)
      if (file === undefined) {
        throw new ServerError(
          'not_found',
          'The files of this step were not uploaded, or are gone: build again.',
        )
      }
      await files.touch(teamId, hash, clock.now())
      return file.createReadStream()
    },

    remove,
  }

  /** Counts an upload; the result ends that. Errors: `resource_exhausted`. */
  function enter(teamId: string, bytes: number): () => void {
    const all = [...underWay.values()].reduce((sum, { uploads }) => sum + uploads, 0)
    const mine = underWay.get(teamId) ?? { uploads: 0, bytes: 0 }
    if (all >= uploadsMax.all || mine.uploads >= uploadsMax.team) {
      const retry = { retryAfterS: busyRetryAfterS }
      throw new ServerError('resource_exhausted', 'Too many uploads at a time. Try again in a moment.', retry)
    }
    mine.uploads++
    mine.bytes += bytes
    underWay.set(teamId, mine)
    return () => {
      mine.uploads--
      mine.bytes -= bytes
      if (mine.uploads === 0) underWay.delete(teamId)
    }
  }

  /** Removes what the team hasn't used for longest, as far as needed. Errors: `resource_exhausted`. */
  async function makeRoom(
    { teamId, hash }: { teamId: string; hash: string },
    sizeBytes: number,
  ): Promise<void> {
    const replaced = (await files.find(teamId, hash))?.sizeBytes ?? 0
    const coming = underWay.get(teamId)?.bytes ?? 0
    let excess = (await files.usage(teamId)) - replaced + coming - teamMaxBytes
    const since = clock.now() - usedRecentlyMs
    for (const file of excess > 0 ? await files.list({ teamId }) : []) {
      if (excess <= 0) break
      if (file.hash === hash || file.lastUsedAt >= since) continue
      await remove(teamId, file.hash)
      excess -= file.sizeBytes
    }
    if (excess > 0) {
      throw new ServerError(
        'resource_exhausted',
        `The uploaded files of this team would have more than ${Math.floor(teamMaxBytes / mib)} MiB together. ` +
          'Those that are not used for two hours make room.',
      )
    }
    const { bavail, bsize } = await statfs(folder)
    const expected = [...underWay.values()].reduce((sum, { bytes }) => sum + bytes, 0)
    if (bavail * bsize - Math.max(expected, sizeBytes) < keepFreeBytes) {
      throw new ServerError('resource_exhausted', "The server's disk is too full for these files.", {
        errno: 'ENOSPC',
      })
    }
  }

  async function keep(file: TemplateFile, body: Readable, signal: AbortSignal): Promise<void> {
    const target = pathOf(folder, file.teamId, file.hash)
    const half = join(folder, `${newId()}${halfEnding}`)
    try {
      await writeBody(half, body, file.sizeBytes, signal)
      await rename(half, target)
      await files.put(file)
    } catch (error) {
      await rm(half, { force: true })
      throw error
    }
    log.debug({ teamId: file.teamId, sizeBytes: file.sizeBytes }, 'an archive was uploaded')
  }

  /** The record first: a file without one is nobody's. */
  async function remove(teamId: string, hash: string): Promise<void> {
    await files.remove(teamId, hash)
    await rm(pathOf(folder, teamId, hash), { force: true })
  }
}

const halfEnding = '.part'

/** Neither a team's id nor a hash has a dot or a slash. */
function pathOf(folder: string, teamId: string, hash: string): string {
  return join(folder, `${teamId}.${hash}`)
}

async function removeStray(folder: string, files: TemplateFileStore): Promise<void> {
  const known = new Set((await files.list({})).map(({ teamId, hash }) => `${teamId}.${hash}`))
  for (const name of await readdir(folder)) {
    if (!known.has(name)) await rm(join(folder, name), { force: true, recursive: true })
  }
}
