/**
 * Files that were built elsewhere from the very same sources, for machines that would take minutes to build them. They come from
 * `E2B_SERVER_PREBUILT`: a folder, or the address of one, which `scripts/prebuilt.mjs` has made. Its `prebuilt.json` says of each
 * file what it is, by a key with a hash of its sources, and the SHA-256 of its content. Who names an address says the SHA-256 of
 * `prebuilt.json` too: `https://…/e2b-server/#sha256=<64 hex digits>`.
 */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { SetupError } from './setup-error.mjs'

export const variable = 'E2B_SERVER_PREBUILT'
const fetchMs = 5 * 60_000
const listMaxBytes = 1 << 20
/** Longest of the files, in bytes: the base image has 300 MB */
const fileMaxBytes = 4 * 2 ** 30

/**
 * @typedef {object} Prebuilt
 * @property {(key: string, target: string) => Promise<boolean>} take puts the file of that key there; false where there is none, or
 *   none that is what it has to be
 */

/**
 * @param {string | undefined} source the variable's value
 * @param {(line: string) => void} [log]
 * @returns {Prebuilt}
 */
export function createPrebuilt(source = process.env[variable], log = (line) => console.error(line)) {
  let listing
  return {
    async take(key, target) {
      if (!source) return false
      listing ??= list(source)
      const found = (await listing).get(key)
      if (found === undefined) {
        log(`setup: there is no ready-made ${key} for these sources and this machine, so it is built here`)
        return false
      }
      const draft = `${target}.${process.pid}`
      try {
        mkdirSync(dirname(target), { recursive: true })
        const hash = await fetchTo(`${placeOf(source)}/${basename(found.file)}`, draft)
        if (hash !== found.sha256) throw new Error('it is not the file that the list names')
        renameSync(draft, target)
        return true
      } catch (error) {
        log(`setup: ${found.file} can't be had ready-made (${reasonOf(error)}), so it is built here`)
        return false
      } finally {
        rmSync(draft, { force: true })
      }
    },
  }
}

/** Errors: `SetupError`, as whoever names a source means it. */
async function list(source) {
  const fail = (reason) => {
    throw new SetupError(`${variable}: what is ready-made can't be had: ${reason}.`, {
      advice: `Set ${variable} to a folder that scripts/prebuilt.mjs has made, or to its address with #sha256=<of its prebuilt.json>; unset, all is built here.`,
    })
  }
  const wanted = /#sha256=([0-9a-f]{64})$/.exec(source)?.[1]
  const isRemote = /^https?:\/\//.test(source)
  if (isRemote && wanted === undefined) fail('an address needs #sha256=')
  try {
    const parts = []
    let bytes = 0
    for await (const part of await open(`${placeOf(source)}/prebuilt.json`)) {
      bytes += part.length
      if (bytes > listMaxBytes) throw new Error('its list is too long')
      parts.push(part)
    }
    const text = Buffer.concat(parts)
    if (wanted !== undefined && createHash('sha256').update(text).digest('hex') !== wanted)
      throw new Error('its list is not the one that #sha256= names')
    const { files } = JSON.parse(text.toString())
    return new Map(files.map((file) => [file.key, file]))
  } catch (error) {
    return fail(reasonOf(error))
  }
}

const placeOf = (source) => source.replace(/#.*$/, '').replace(/\/+$/, '')
const reasonOf = (error) => error.cause?.message ?? error.message

async function open(place) {
  if (!/^https?:\/\//.test(place)) return createReadStream(place)
  const response = await fetch(place, { signal: AbortSignal.timeout(fetchMs) })
  if (!response.ok) throw new Error(`its server answers ${response.status}`)
  return Readable.fromWeb(response.body)
}

/** Resolves with the SHA-256 of what it has written. */
async function fetchTo(place, target) {
  const hash = createHash('sha256')
  let bytes = 0
  await pipeline(
    await open(place),
    async function* (chunks) {
      for await (const chunk of chunks) {
        bytes += chunk.length
        if (bytes > fileMaxBytes) throw new Error('it is too large')
        hash.update(chunk)
        yield chunk
      }
    },
    createWriteStream(target, { mode: 0o755 }),
  )
  return hash.digest('hex')
}

/** @param {string} root the checkout; what SQLite is compiled for: its version, this Node.js and this C library */
export async function sqliteKey(root) {
  const manifest = join(root, 'node_modules', 'better-sqlite3', 'package.json')
  const { version } = JSON.parse(await readFile(manifest, 'utf8'))
  const libc = process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
  return `better-sqlite3-${version}-${process.platform}-${process.arch}-${libc}-abi${process.versions.modules}`
}

/** Where npm has it compiled. */
export const sqliteFile = (root) =>
  join(root, 'node_modules', 'better-sqlite3', 'build', 'Release', 'better_sqlite3.node')

/** @param {string} image name of the base image */
export const baseKey = (image) => `${image}-${process.arch}`
