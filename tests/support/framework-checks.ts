/** Programs of tests/conformance/frameworks: each in Python runs in the environment that has its name in build/frameworks. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../..')
const suffix = '.check.py'
/** In milliseconds; less than a test has. */
const timeout = 170_000

/** Names of a folder's programs in Python. */
export function checksIn(folder: string): string[] {
  return readdirSync(folder).flatMap((file) => (file.endsWith(suffix) ? [basename(file, suffix)] : []))
}

/** Runs a folder's program in Python; resolves with what it prints. */
export async function runCheck(folder: string, name: string): Promise<string> {
  const python = join(root, 'build/frameworks', name, 'bin/python')
  return await outputOf(python, join(folder, `${name}${suffix}`))
}

/** What a program prints. */
export async function outputOf(program: string, script: string): Promise<string> {
  // What a framework's modules compile to is kept beside them, for the next run.
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '' }
  return (await promisify(execFile)(program, [script], { env, timeout })).stdout
}
