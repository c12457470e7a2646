/** Records of images: a directory with a file for each, by a hash of the image's name. */
import { createHash } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { newId } from '../lib/ids.ts'
import { type ImageRecord, parseRecord } from './image-record.ts'
import { withTag } from './names.ts'

/** Longest record that is read, in bytes */
const recordMaxBytes = 4 << 20
const asideEnding = '.leaving'
const draftStart = '.draft-'
const isRecord = /^[0-9a-f]{64}\.[a-z]+$/

export interface RecordFiles {
  /** `isWhole`: there is none that this server can't read, as a later version may have written. Errors: those of the disk. */
  list(): Promise<{ records: ImageRecord[]; isWhole: boolean }>
  read(image: string): Promise<ImageRecord | undefined>
  /** Creates it, and resolves with false where there is one of that image. `brief`: it may come onto the disk later. */
  create(record: ImageRecord, options?: { brief?: boolean }): Promise<boolean>
  /** Creates or replaces it. On failure there is none, or the one before. */
  put(record: ImageRecord): Promise<void>
  /** Idempotent. */
  remove(image: string): Promise<void>
  /** From here on it isn't found, but kept until it is removed or there is a new one. */
  setAside(image: string): Promise<void>
  /** Takes that back. */
  restore(image: string): Promise<void>
  /** What was set aside of that image. */
  aside(image: string): Promise<ImageRecord | undefined>
  /** All that was set aside. */
  leaving(): Promise<ImageRecord[]>
  /** Removes what writers that ended in the middle have left. `before`: Unix milliseconds, since when others may be at work */
  clean(before: number): Promise<void>
}

/** The folder is made when something is written. On the disk when a method resolves, but for what is `brief`. */
export function createRecordFiles(folder: string): RecordFiles {
  const pathOf = (image: string, ending = '.json') =>
    join(folder, `${createHash('sha256').update(withTag(image)).digest('hex')}${ending}`)
  const names = () => readdir(folder).catch(unlessAbsent(() => []))
  const loadAll = async (ending: string) => {
    const found = (await names()).filter((name) => name.endsWith(ending) && isRecord.test(name))
    return Promise.all(found.map((name) => load(join(folder, name))))
  }

  const load = async (path: string): Promise<ImageRecord | undefined> => {
    try {
      const text = await readFile(path, 'utf8')
      return text.length > recordMaxBytes ? undefined : parseRecord(text)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Writes it by another name, which `place` then makes the right one; false where that has found another. */
  const write = async (
    record: ImageRecord,
    place: (draft: string) => Promise<boolean>,
    { brief = false }: { brief?: boolean } = {},
  ) => {
    const made = await mkdir(folder, { recursive: true })
    if (made !== undefined) await syncFolder(dirname(made))
    const draft = join(folder, `${draftStart}${newId()}`)
    try {
      const file = await open(draft, 'wx', 0o644)
      try {
        await file.writeFile(JSON.stringify(record))
        if (!brief) await file.sync()
      } finally {
        await file.close()
      }
      if (!(await place(draft))) return false
    } finally {
      await rm(draft, { force: true })
    }
    try {
      await rm(pathOf(record.image, asideEnding), { force: true })
      if (!brief) await syncFolder(folder)
    } catch (error) {
      // Whoever is told that it failed lets go of the layers.
      await rm(pathOf(record.image), { force: true })
      throw error
    }
    return true
  }

  return {
    async list() {
      const all = await loadAll('.json')
      const records = all.filter((record) => record !== undefined)
      return { records, isWhole: records.length === all.length }
    },
    async read(image) {
      const record = await load(pathOf(image))
      return record?.image === withTag(image) ? record : undefined
    },
    create: (record, options) =>
      write(
        record,
        (draft) =>
          link(draft, pathOf(record.image)).then(
            () => true,
            (error: NodeJS.ErrnoException) => {
              if (error.code !== 'EEXIST') throw error
              return false
            },
          ),
        options,
      ),
    async put(record) {
      await write(record, (draft) => rename(draft, pathOf(record.image)).then(() => true))
    },
    async remove(image) {
      for (const ending of ['.json', asideEnding]) await rm(pathOf(image, ending), { force: true })
      await syncFolder(folder).catch(unlessAbsent(() => undefined))
    },
    async setAside(image) {
      await rename(pathOf(image), pathOf(image, asideEnding)).catch(unlessAbsent(() => undefined))
      await syncFolder(folder).catch(unlessAbsent(() => undefined))
    },
    async restore(image) {
      const aside = pathOf(image, asideEnding)
      await link(aside, pathOf(image)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST' && error.code !== 'ENOENT') throw error
      })
      await rm(aside, { force: true })
      await syncFolder(folder)
    },
    aside: (image) => load(pathOf(image, asideEnding)),
    leaving: async () => (await loadAll(asideEnding)).filter((record) => record !== undefined),
    async clean(before) {
      const drafts = (await names()).filter((name) => name.startsWith(draftStart))
      for (const path of drafts.map((name) => join(folder, name))) {
        const found = await stat(path).catch(unlessAbsent(() => undefined))
        if (found !== undefined && found.mtimeMs < before) await rm(path, { force: true })
      }
    },
  }
}

const unlessAbsent =
  <T>(absent: () => T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code !== 'ENOENT') throw error
    return absent()
  }

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
