/** Where results go. */
import { access, constants, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ConfigError } from '../config.ts'

/** A flag, the file that it names, and what goes there. */
export interface ResultFile {
  flag: '--json' | '--svg'
  path: string
}

/** Before minutes are spent on what can't be kept. Makes no file. Errors: `ConfigError`. */
export async function requireWritable({ flag, path }: ResultFile): Promise<void> {
  try {
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory()) throw new Error('it is a folder')
    // With the dot, so that it is a folder.
    await access(found === undefined ? `${dirname(path)}/.` : path, constants.W_OK)
  } catch (error) {
    throw unwritable({ flag, path }, error)
  }
}

/** Errors: `ConfigError`. */
export async function writeResults({ flag, path }: ResultFile, text: string): Promise<void> {
  try {
    await writeFile(path, text)
  } catch (error) {
    throw unwritable({ flag, path }, error)
  }
}

function unwritable({ flag, path }: ResultFile, error: unknown): ConfigError {
  return new ConfigError(`${flag} can't be written to ${path}: ${(error as Error).message}.`)
}
