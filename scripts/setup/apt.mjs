/** Debian's and Ubuntu's packages. */
import { readdirSync } from 'node:fs'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'
import { requireChangeable } from './system.mjs'

const updateTimeoutMs = 5 * 60_000
const installTimeoutMs = 20 * 60_000
/** `Timeout`: another apt may be at work, e.g. a machine's first automatic update. */
const options = ['-y', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3']
const env = { DEBIAN_FRONTEND: 'noninteractive' }

/**
 * Installs packages without asking anything and without what they merely recommend. Errors: `SetupError` where this
 * isn't Debian or Ubuntu, for others than root, and when apt fails.
 *
 * @param {string[]} names
 * @param {{ missing: string, progress: import('./report.mjs').Progress }} options `missing`: see `requireChangeable`
 */
export async function installPackages(names, { missing, progress }) {
  const byHand = `apt-get install ${names.join(' ')}`
  requireChangeable({ missing, byHand })
  const install = () =>
    runCommand('apt-get', ['install', '--no-install-recommends', ...options, ...names], {
      env,
      timeoutMs: installTimeoutMs,
      progress,
    })

  progress(`installing ${names.join(', ')}`)
  if (havePackageLists()) {
    try {
      await install()
      return
    } catch {
      // Old lists name files that the mirror has replaced since; new ones may do.
    }
  }
  await updatePackageLists(progress)
  try {
    await install()
  } catch (error) {
    throw new SetupError(`The packages ${names.join(', ')} could not be installed: ${error.message}`, {
      advice: `Check that apt reaches its mirror (\`apt-get update\`), or install them by hand: ${byHand}`,
      output: error.output,
      cause: error,
    })
  }
}

/**
 * Puts the files of packages into a folder and installs nothing. Needs no root where there are lists of packages. Errors:
 * `SetupError`.
 *
 * @param {string[]} names
 * @param {{ folder: string, progress: import('./report.mjs').Progress }} options
 */
export async function downloadPackages(names, { folder, progress }) {
  if (!havePackageLists()) await updatePackageLists(progress)
  progress(`downloading ${names.join(', ')}`)
  await runCommand('apt-get', ['download', ...names], { cwd: folder, timeoutMs: updateTimeoutMs, progress })
}

/**
 * The version that apt would install of each package, by name; packages unknown to it are absent.
 *
 * @param {string[]} names
 * @param {import('./report.mjs').Progress} progress
 * @returns {Promise<Map<string, string>>}
 */
export async function candidateVersions(names, progress) {
  if (!havePackageLists()) await updatePackageLists(progress)
  const lines = await runCommand('apt-cache', ['policy', ...names], {
    timeoutMs: 60_000,
    env: { LC_ALL: 'C' },
  })
  return parsePolicy(lines)
}

/**
 * Reads the output of `apt-cache policy`.
 *
 * @param {string[]} lines
 * @returns {Map<string, string>}
 */
export function parsePolicy(lines) {
  const versions = new Map()
  let name
  for (const line of lines) {
    name = /^(\S+):$/.exec(line)?.[1] ?? name
    const candidate = /^ {2}Candidate: (\S+)$/.exec(line)?.[1]
    if (name !== undefined && candidate !== undefined && candidate !== '(none)') versions.set(name, candidate)
  }
  return versions
}

/** Fetches the mirror's lists of packages. */
async function updatePackageLists(progress) {
  requireChangeable({ missing: 'The lists of packages are missing', byHand: 'apt-get update' })
  progress('looking at what packages there are')
  await runCommand('apt-get', ['update', ...options], {
    env,
    timeoutMs: updateTimeoutMs,
    progress,
    advice: 'Check that this machine reaches its package mirror (see /etc/apt/sources.list).',
  })
}

function havePackageLists() {
  try {
    return readdirSync('/var/lib/apt/lists').some((name) => name.includes('_Packages'))
  } catch {
    return false
  }
}
