/**
 * The images there are: this machine's own file system, `none`, and snapshots of homes. A snapshot is a copy of its own
 * in the server's directory, where guests can't reach it:
 *
 *   .images/<name, percent-encoded>/home/
 *   .images/<name, percent-encoded>/note                of one that is kept
 *   .images/.<pid>-<start of the process>-<random>/     being made or removed by that process
 */

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rmdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ServerError } from '../../domain/error.ts'
import type { ImageInfo, Images, KeptImage } from '../../domain/images.ts'
import { patientSignal } from '../../lib/patience.ts'
import { removeTree } from '../../lib/remove-tree.ts'
import { copyTree } from './copy-tree.ts'
import { findProcess, isAlive } from './proc-table.ts'
import { runProgram } from './run-program.ts'

/** This machine's own file system */
const hostImage = 'none'
/** Encoded, this is well below what a file's name may have. */
const imageName = /^[a-z0-9][A-Za-z0-9._:/@-]{0,79}$/
/** Longest time for removing what a failed or crashed copy leaves, in milliseconds */
const cleanMs = 30_000

export interface ImageStore extends Images {
  /** Errors: `not_found`. */
  check(image: string): void
  /** Fills an empty home with the image's files. Errors: `not_found`, `resource_exhausted`. */
  copyTo(image: string, home: string, signal: AbortSignal): Promise<void>
  /** `fill` makes the image's home at the path it is given. Errors: `conflict`, `invalid_argument`, those of `fill`. */
  create(image: string, fill: (home: string, draft: string) => Promise<void>): Promise<void>
  /** Removes the store when there is nothing in it but what a crash has left. */
  tidy(): Promise<void>
}

export interface ImageStoreOptions {
  /** Path of the store's directory */
  path: string
  /** Makes the directory that it is in */
  prepare: () => Promise<void>
  /** Told what could not be removed just now */
  onRemainder: (error: unknown) => void
}

export function createImageStore({ path: root, prepare, onRemainder }: ImageStoreOptions): ImageStore {
  /** How many copies are being made from an image */
  const readers = new Map<string, number>()
  const pathOf = (image: string) => join(root, encodeURIComponent(image))
  const isStored = (image: string) => imageName.test(image) && existsSync(pathOf(image))
  const isThere = (image: string) => image === hostImage || isStored(image)

  const check = (image: string) => {
    if (isThere(image)) return
    throw new ServerError(
      'not_found',
      `The server has no image ${image}: the process runtime has ${hostImage} and snapshots.`,
    )
  }
  const draftPath = async () => {
    const self = await findProcess(process.pid)
    return join(root, `.${self?.pid}-${self?.startTicks}-${randomBytes(6).toString('hex')}`)
  }
  const clean = (draft: string) => removeTree(draft, patientSignal(cleanMs)).catch(onRemainder)
  /** Removes drafts whose process has ended. */
  const sweep = async () => {
    const names = await readdir(root).catch(() => [])
    for (const name of names) {
      const [, pid, startTicks] = /^\.(\d+)-(\d+)-/.exec(name) ?? []
      if (pid === undefined || (await isAlive({ pid: Number(pid), startTicks: Number(startTicks) }))) continue
      await clean(join(root, name))
    }
  }

  const stored = async () => {
    const names = await readdir(root).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    return names.filter((name) => !name.startsWith('.')).map(decodeURIComponent)
  }

  const copyFrom = async (image: string, home: string, signal: AbortSignal) => {
    readers.set(image, (readers.get(image) ?? 0) + 1)
    try {
      await copyTree(join(pathOf(image), 'home'), home, signal)
    } finally {
      readers.set(image, (readers.get(image) ?? 0) - 1)
      if (readers.get(image) === 0) readers.delete(image)
    }
  }
  const create: ImageStore['create'] = async (image, fill) => {
    if (!imageName.test(image)) {
      throw new ServerError(
        'invalid_argument',
        'The name of an image has 1 to 80 letters, digits and ._:/@- and begins with a letter or digit.',
      )
    }
    const taken = () => new ServerError('conflict', `The server has an image ${image} already.`)
    if (isThere(image)) throw taken()
    await prepare()
    await mkdir(root, { mode: 0o700, recursive: true })
    await sweep()
    const draft = await draftPath()
    await mkdir(draft, { mode: 0o700 })
    try {
      await fill(join(draft, 'home'), draft)
      // Fails where there is one meanwhile, as that isn't empty.
      await rename(draft, pathOf(image)).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'ENOTEMPTY' || error.code === 'EEXIST' ? taken() : error
      })
    } catch (error) {
      await clean(draft)
      throw error
    }
  }

  return {
    check,
    async inspect(image, signal) {
      if (!isThere(image)) return undefined
      return infoOf(image, image === hostImage ? 0 : await sizeOf(pathOf(image), signal))
    },
    async pull(image) {
      throw new ServerError(
        'unimplemented',
        `The process runtime has no registry that it could get ${image} from: it has ${hostImage} and snapshots.`,
      )
    },
    async flatten(image, target, signal) {
      check(image)
      // Every copy is whole.
      await create(target, (home) => (image === hostImage ? mkdir(home) : copyFrom(image, home, signal)))
    },
    async keep(image, target, note, signal) {
      check(image)
      await create(target, async (home, draft) => {
        await (image === hostImage ? mkdir(home) : copyFrom(image, home, signal))
        await writeFile(join(draft, 'note'), note)
      })
    },
    others: async () => new Map(),

    async kept() {
      const kept: KeptImage[] = []
      for (const image of await stored()) {
        const path = join(pathOf(image), 'note')
        if (!existsSync(path)) continue
        kept.push({ image, note: await readFile(path, 'utf8'), createdAt: (await stat(path)).mtimeMs })
      }
      return kept.sort((one, other) => other.createdAt - one.createdAt)
    },
    async named(repository) {
      const ofRepository = (await stored()).filter((image) => image.startsWith(`${repository}:`))
      const found = ofRepository.map(async (image) => {
        return { image, createdAt: (await stat(join(pathOf(image), 'home'))).ctimeMs }
      })
      return (await Promise.all(found)).sort((one, other) => other.createdAt - one.createdAt)
    },
    list: async () => (await stored()).filter((image) => !existsSync(join(pathOf(image), 'note'))),
    copyTo: async (image, home, signal) => {
      check(image)
      if (image !== hostImage) await copyFrom(image, home, signal)
    },
    create,
    async remove(image) {
      if (image === hostImage) {
        throw new ServerError('failed_precondition', "This machine's own file system can't be removed.")
      }
      if (!isStored(image)) return
      if (readers.has(image)) {
        throw new ServerError('conflict', `The image ${image} is being copied. Try again in a moment.`)
      }
      const draft = await draftPath()
      await rename(pathOf(image), draft).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
      })
      await clean(draft)
    },
    async tidy() {
      await sweep()
      await rmdir(root).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT' && error.code !== 'ENOTEMPTY') throw error
      })
    },
  }
}

/** Nothing but a home: what it is run with is the machine's. */
function infoOf(image: string, sizeBytes: number): ImageInfo {
  const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? ''
  return {
    id: image,
    env: {},
    user: '',
    workdir: '/',
    labels: {},
    isOwn: image !== hostImage,
    layers: 1,
    sizeBytes,
    architecture,
    os: process.platform,
  }
}

async function sizeOf(path: string, signal: AbortSignal): Promise<number> {
  return Number.parseInt(await runProgram('du', ['-s', '--block-size=1', '--', path], signal), 10)
}
