/** Brings servers into the sandbox: packages of npm and PyPI, each in a folder of its own, and repositories. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { asUser } from './as-user.mjs'

const run = promisify(execFile)
const outputMaxBytes = 16 * 1024 * 1024

/** Idempotent. Rejects with an `Error` that has the last words of the program that failed. */
export async function install(server, signal) {
  const { name, folder, npm, pypi, repository, installCmd } = server
  if (existsSync(folder)) return
  const options = { signal, maxBuffer: outputMaxBytes, env: { ...process.env, GIT_TERMINAL_PROMPT: '0' } }
  try {
    if (npm !== undefined) {
      // Scripts of packages are left out: what they would build or fetch, none of the catalog needs.
      const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--loglevel=error']
      await mkdir(folder, { recursive: true })
      await run('npm', ['install', '--prefix', folder, ...flags, npm], options)
    } else if (pypi !== undefined) {
      // The system's pip does for all of them.
      const flags = ['--quiet', '--no-cache-dir', '--disable-pip-version-check']
      await run('python3', ['-m', 'venv', '--without-pip', folder], options)
      await run(
        'python3',
        ['-m', 'pip', '--python', `${folder}/bin/python`, 'install', ...flags, pypi],
        options,
      )
    } else {
      // A name that nobody takes for whole until it is.
      const draft = `${folder}.draft`
      await rm(draft, { recursive: true, force: true })
      await mkdir(draft, { recursive: true })
      await run('chown', ['user:user', draft], options)
      const [program, ...words] = asUser()
      await run(program, [...words, 'git', 'clone', '--quiet', '--depth', '1', repository, draft], options)
      if (installCmd !== undefined) {
        await run(program, [...words, '/bin/bash', '-l', '-c', installCmd], { ...options, cwd: draft })
      }
      await rename(draft, folder)
    }
  } catch (error) {
    // What was ended may still write.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    const last = String(error.stderr || error.stdout || error.message)
      .trim()
      .slice(-2000)
    const why = signal.aborted ? 'it took longer than a minute' : last
    throw new Error(`The MCP server "${name}" could not be installed: ${why}`)
  }
}
