/**
 * Whether something made from files is up to date: a stamp is a file with the hash of what it was made from. Contents
 * count, not times, because a checkout or a restored cache changes those.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * SHA-256 over names and contents of `entries`, files or folders below `root`. What doesn't exist counts as such;
 * files that `skip` says yes to are left out.
 *
 * @param {string} root
 * @param {string[]} entries
 * @param {(path: string) => boolean} [skip]
 */
export function hashFiles(root, entries, skip = () => false) {
  const hash = createHash('sha256')
  for (const entry of entries) {
    for (const path of walk(root, entry)) {
      if (skip(path)) continue
      const content = readFileSync(join(root, path))
      hash.update(`${path}\0${content.length}\0`)
      hash.update(content)
    }
  }
  return hash.digest('hex')
}

function walk(root, path) {
  const stat = statSync(join(root, path), { throwIfNoEntry: false })
  if (stat === undefined) return []
  if (!stat.isDirectory()) return [path]
  const names = readdirSync(join(root, path)).sort()
  return names.flatMap((name) => walk(root, join(path, name)))
}

/** The hash kept in the stamp, or undefined without one. */
export function readStamp(file) {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined
  }
}

/** Keeps the hash; a reader sees the old one or the new one, never half of it. */
export function writeStamp(file, hash) {
  mkdirSync(dirname(file), { recursive: true })
  const temporary = `${file}.${process.pid}`
  writeFileSync(temporary, `${hash}\n`)
  renameSync(temporary, file)
}
