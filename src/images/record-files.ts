/** Records of images: a directory with a file for each, by a hash of the image's name. */
import { createHash } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../lib/ids.ts'
import { type ImageRecord, parseRecord } from './image-record.ts'
import { withTag } from './names.ts'

/** Longest record that is read, in bytes */
const recordMaxBytes = 4 << 20

export interface RecordFiles {
  /** `isWhole`: there is none that this server can't read, as a later version may have written. Errors: those of the disk. */
  list(): Promise<{ records: ImageRecord[]; isWhole: boolean }>
  read(image: string): Promise<ImageRecord | undefined>
  /** Creates it, and resolves with false where there is one of that image. */
  create(record: ImageRecord): Promise<boolean>
  /** Creates or replaces it. */
  put(record: ImageRecord): Promise<void>
  /** Idempotent. */
  remove(image: string): Promise<void>
}

/** The folder is made when something is written. On the disk when a method resolves. */
export function createRecordFiles(folder: string): RecordFiles {
  const pathOf = (image: string) =>
    join(folder, `${createHash('sha256').update(withTag(image)).digest('hex')}.json`)

  const load = async (path: string): Promise<ImageRecord | undefined> => {
    try {
      const text = await readFile(path, 'utf8')
      return text.length > recordMaxBytes ? undefined : parseRecord(text)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Writes it by another name, which `place` then makes the right one. */
  const write = async (record: ImageRecord, place: (draft: string) => Promise<void>) => {
    await mkdir(folder, { recursive: true })
    const draft = join(folder, `.draft-${newId()}`)
    try {
      const file = await open(draft, 'wx', 0o644)
      try {
        await file.writeFile(JSON.stringify(record))
        await file.sync()
      } finally {
        await file.close()
      }
      await place(draft)
    } finally {
      await rm(draft, { force: true })
    }
    await syncFolder(folder)
  }

  return {
    async list() {
      const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      const records: ImageRecord[] = []
      let isWhole = true
      for (const name of names.filter((each) => /^[0-9a-f]{64}\.json$/.test(each))) {
        const record = await load(join(folder, name))
        if (record !== undefined) records.push(record)
        else isWhole = false
      }
      return { records, isWhole }
    },
    async read(image) {
      const record = await load(pathOf(image))
      return record?.image === withTag(image) ? record : undefined
    },
    async create(record) {
      let isThere = false
      await write(record, async (draft) => {
        await link(draft, pathOf(record.image)).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EEXIST') throw error
          isThere = true
        })
      })
      return !isThere
    },
    put: (record) => write(record, (draft) => rename(draft, pathOf(record.image))),
    async remove(image) {
      await rm(pathOf(image), { force: true })
      await syncFolder(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
    },
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
