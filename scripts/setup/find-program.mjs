import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where system programs are on Debian even when a user's PATH doesn't say so. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/**
 * The absolute path of an executable, looked up in PATH, then in the system's folders, or undefined.
 *
 * @param {string} name
 * @param {{ path?: string }} [options]
 */
export function findProgram(name, { path = process.env.PATH ?? '' } = {}) {
  for (const folder of [...path.split(delimiter), ...systemFolders]) {
    if (folder === '') continue
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      if (statSync(file).isFile()) return file
    } catch {
      // Not here: the next folder may have it.
    }
  }
  return undefined
}
