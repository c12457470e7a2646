/** What system this is, and whether this process may change it. */
import { existsSync, readFileSync } from 'node:fs'
import { SetupError } from './setup-error.mjs'

/**
 * The fields of /etc/os-release, values unquoted. A system without the file has none.
 *
 * @param {string} [file]
 * @returns {Record<string, string>}
 */
export function readOsRelease(file = '/etc/os-release') {
  if (!existsSync(file)) return {}
  const fields = {}
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const match = /^([A-Z0-9_]+)=(["']?)(.*)\2$/.exec(line.trim())
    if (match !== null) fields[match[1]] = match[3]
  }
  return fields
}

/**
 * Whether packages come from apt and have Debian's names here.
 *
 * @param {Record<string, string>} osRelease as `readOsRelease` gives it
 */
export function isDebianLike(osRelease) {
  const families = [osRelease.ID ?? '', ...(osRelease.ID_LIKE ?? '').split(/\s+/)]
  return families.includes('debian') || families.includes('ubuntu')
}

/**
 * Throws unless this process may install and start things here, naming what to do by hand instead.
 *
 * @param {{ missing: string, byHand: string, osRelease?: Record<string, string>, uid?: number }} options
 *   `missing`: what is absent, as the subject of a sentence; `byHand`: what a person can do about it
 */
export function requireChangeable({
  missing,
  byHand,
  osRelease = readOsRelease(),
  uid = process.getuid?.(),
}) {
  if (!isDebianLike(osRelease)) {
    const system = osRelease.PRETTY_NAME ?? process.platform
    throw new SetupError(
      `${missing}, and the setup can install it on Debian and Ubuntu only (this is ${system}).`,
      {
        advice: byHand,
      },
    )
  }
  if (uid !== 0) {
    throw new SetupError(`${missing}, and installing or starting it needs root.`, {
      advice: `Run this command once as root, or do it by hand: ${byHand}`,
    })
  }
}
