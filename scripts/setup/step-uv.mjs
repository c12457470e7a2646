/**
 * build/uv/: uv, which fills the environments that tests have of Python, in a tenth of the time that pip takes. Pip installs it, and says
 * which index it asks and whom it trusts.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './run-command.mjs'
import { readStamp, writeStamp } from './stamp.mjs'

/** As in images/code-interpreter/provision.sh */
const release = 'uv==0.13.9'
const timeoutMs = 5 * 60_000
const quickMs = 30_000

const program = (folder) => join(folder, 'bin', 'uv')
const stamp = (folder) => join(folder, 'release')

/**
 * @param {{ folder: string, isNeeded: () => Promise<boolean>, findPython: () => Promise<string | undefined> }} options
 *   `folder`: where it goes; `findPython`: one that can make environments with pip in them
 * @returns {import('./run-steps.mjs').Step}
 */
export function uvStep({ folder, isNeeded, findPython }) {
  const isThere = () => existsSync(program(folder)) && readStamp(stamp(folder)) === release
  return {
    name: 'uv',
    isDone: async () => isThere() || !(await isNeeded()),
    run: async (progress) => {
      rmSync(folder, { recursive: true, force: true })
      const python = (await findPython()) ?? 'python3'
      await runCommand(python, ['-m', 'venv', folder], { timeoutMs, progress })
      const options = ['--no-input', '--disable-pip-version-check', '--no-deps', '--no-compile']
      await runCommand(join(folder, 'bin', 'python'), ['-m', 'pip', 'install', ...options, release], {
        timeoutMs,
        advice: 'Check that pip reaches its package index, then run this command again.',
        progress,
      })
      writeStamp(stamp(folder), release)
    },
  }
}

/**
 * Installs what a file of pins names into an environment.
 *
 * @param {{ uv: string, environment: string, pins: string, isCompiled: boolean, cache: string, timeoutMs: number,
 *   progress: import('./report.mjs').Progress }} options `uv`: that of `uvStep`; `cache`: a folder of the same file system
 */
export async function installPins({ uv, environment, pins, isCompiled, cache, timeoutMs, progress }) {
  const options = ['--no-deps', '--no-progress', '--system-certs', '--cache-dir', cache]
  const python = join(environment, 'bin', 'python')
  const compiling = isCompiled ? ['--compile-bytecode'] : []
  await runCommand(
    program(uv),
    ['pip', 'install', ...options, ...compiling, '--python', python, '-r', pins],
    {
      env: asVariables(
        await runCommand(join(uv, 'bin', 'python'), ['-m', 'pip', 'config', 'list'], { timeoutMs: quickMs }),
      ),
      timeoutMs,
      advice: 'Check that pip reaches its package index, then run this command again.',
      progress,
    },
  )
}

/** What uv calls settings of pip, and how it separates what is a list. */
const settings = {
  'index-url': { variable: 'UV_DEFAULT_INDEX', separator: ' ' },
  'extra-index-url': { variable: 'UV_INDEX', separator: ' ' },
  'find-links': { variable: 'UV_FIND_LINKS', separator: ',' },
  cert: { variable: 'SSL_CERT_FILE', separator: ' ' },
}

/**
 * Settings of pip, as `pip config list` prints them, as variables that say the same to uv.
 *
 * @param {string[]} lines
 * @returns {Record<string, string>}
 */
export function asVariables(lines) {
  const found = lines.flatMap((line) => {
    const [, place, name, value] = /^(global|install|:env:)\.([\w-]+)='(.*)'$/.exec(line) ?? []
    const setting = settings[name]
    if (setting === undefined) return []
    const values = value.split(/(?:\s|\\n)+/).filter(Boolean)
    return [{ place, variable: setting.variable, value: values.join(setting.separator) }]
  })
  // The environment's count more than a file's.
  const byWeight = found.sort((a, b) => Number(a.place === ':env:') - Number(b.place === ':env:'))
  return Object.fromEntries(byWeight.map(({ variable, value }) => [variable, value]))
}
