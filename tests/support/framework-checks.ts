/** Programs of tests/conformance/frameworks: each in Python runs in the environment that has its name in build/frameworks. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
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

/** A program that asks for something while it runs: by a line, and goes on with the line that it is answered. */
export interface RunningCheck extends AsyncDisposable {
  /** The next line that it prints. Errors: what it has said of its end, where there is none. */
  says(): Promise<string>
  answer(line: string): void
}

/** Starts a program in Python, of the environment that a folder of build/ has. Disposing ends it, if it still runs. */
export function startCheck(environment: string, script: string, args: string[] = []): RunningCheck {
  const child = spawn(join(root, 'build', environment, 'bin/python'), [script, ...args], { timeout })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
  // One that has ended reads no more, as `says` tells.
  child.stdin.on('error', () => {})
  const closed = once(child, 'close')
  return {
    async says() {
      const { value, done } = await lines.next()
      if (done === true) await closed
      if (done === true) throw new Error(`${basename(script)} has ended: ${errors}`)
      return value
    },
    answer: (line) => void child.stdin.write(`${line}\n`),
    async [Symbol.asyncDispose]() {
      child.kill()
      await closed
    },
  }
}

/** What a program prints. */
export async function outputOf(program: string, script: string): Promise<string> {
  // What a framework's modules compile to is kept beside them, for the next run.
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '' }
  return (await promisify(execFile)(program, [script], { env, timeout })).stdout
}
