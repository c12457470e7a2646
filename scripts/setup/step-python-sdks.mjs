/**
 * build/python/<version>/: one virtual environment for each release of E2B's Python SDK that the conformance tests
 * drive, as tests/conformance/python/requirements/<version>.txt pins it; in the same way build/frameworks/<name>/ for
 * what docs/works-with.md says is tested. Each has a stamp of its own: other pins make one environment again.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'
import { hashFiles, readStamp, writeStamp } from './stamp.mjs'
import { newerPython } from './step-newer-python.mjs'
import { installPins } from './step-uv.mjs'

const probeTimeoutMs = 20_000
const createTimeoutMs = 2 * 60_000
const installTimeoutMs = 10 * 60_000
/** The system's own comes first: apt completes that one, and no other. */
const systemPython = '/usr/bin/python3'
/** A Python that can make virtual environments and isn't too old. */
const probe = (minor) => `import sys, venv, ensurepip; sys.exit(sys.version_info < (3, ${minor}))`
/** In an environment, the hash of the pins that it was made from. */
const stampName = 'pins.sha256'
/** What the newest SDK runs on. */
const oldestMinor = 10

/**
 * A Python that can make virtual environments.
 *
 * @param {{ isNeeded: () => Promise<boolean> }} options
 * @returns {import('./run-steps.mjs').Step}
 */
export function pythonStep({ isNeeded }) {
  return {
    name: 'Python',
    isDone: async () => !(await isNeeded()) || (await findOldestPython()) !== undefined,
    run: async (progress) => {
      await installPackages(['python3', 'python3-venv'], {
        missing: 'Python with its module venv is missing',
        progress,
      })
      if ((await findOldestPython()) === undefined) {
        throw new SetupError(
          "The Python SDKs need Python 3.10 or newer with its module venv, which can't be found.",
          { advice: 'Install one so that `python3 -m venv` works, then run this command again.' },
        )
      }
    },
  }
}

/** The path of what `pythonStep` provides; undefined before it. */
export function findOldestPython() {
  return findPython(oldestMinor)
}

/**
 * @param {{ name?: string, requirements: string, folder: string, uv: string, newer?: string, isCompiled?: boolean }} options
 *   `requirements`: the folder of the pins; `folder`: where the environments go; `uv`: that of `uvStep`; `newer`: that of
 *   `newerPythonStep`; `isCompiled`: false where compiling all modules takes longer than installing them, and few are ever loaded
 * @returns {import('./run-steps.mjs').Step}
 */
export function pythonSdksStep({ name = 'Python SDKs', requirements, folder, uv, newer, isCompiled = true }) {
  const versions = versionsIn(requirements)
  const isMade = (version) => {
    const at = join(folder, version)
    const pins = hashFiles(requirements, [`${version}.txt`])
    return readStamp(join(at, stampName)) === pins && existsSync(join(at, 'bin', 'python'))
  }
  return {
    name,
    isDone: async () => versions.every(isMade),
    run: async (progress) => {
      for (const other of existsSync(folder) ? readdirSync(folder) : [])
        if (!versions.includes(other)) rmSync(join(folder, other), { recursive: true, force: true })
      // Environments have most packages in common: what one has downloaded is the others' too.
      const cache = `${folder}.cache`
      try {
        for (const version of versions.filter((each) => !isMade(each))) {
          const pins = join(requirements, `${version}.txt`)
          const hash = hashFiles(requirements, [`${version}.txt`])
          const environment = join(folder, version)
          rmSync(environment, { recursive: true, force: true })
          progress(`making a Python environment in ${environment}`)
          const python = (await findPython(minorOf(pins))) ?? newerPython(newer)
          await runCommand(python, ['-m', 'venv', '--without-pip', environment], {
            timeoutMs: createTimeoutMs,
            progress,
          })
          progress(`installing what ${basename(pins)} names`)
          const timeoutMs = installTimeoutMs
          await installPins({ uv, environment, pins, isCompiled, cache, timeoutMs, progress })
          writeStamp(join(environment, stampName), hash)
        }
      } finally {
        rmSync(cache, { recursive: true, force: true })
      }
    },
  }
}

/**
 * The releases that a folder of pins names, oldest first.
 *
 * @param {string} requirements
 * @returns {string[]}
 */
export function versionsIn(requirements) {
  return readdirSync(requirements)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => basename(name, '.txt'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
}

/**
 * Whether a folder's pins need a Python that this machine doesn't have: a line "# Python 3.12" says which one they need.
 *
 * @param {string} requirements
 */
export async function needsNewerPython(requirements) {
  for (const version of versionsIn(requirements)) {
    const minor = minorOf(join(requirements, `${version}.txt`))
    if (minor > oldestMinor && (await findPython(minor)) === undefined) return true
  }
  return false
}

/** The oldest Python 3.x that pins need. */
function minorOf(pins) {
  return Number(/^# Python 3\.(\d+)$/m.exec(readFileSync(pins, 'utf8'))?.[1] ?? oldestMinor)
}

/** The path of a Python 3.`minor` or newer; undefined where there is none. */
async function findPython(minor) {
  for (const python of [systemPython, findProgram('python3')]) {
    if (python !== undefined && existsSync(python) && (await isUsable(python, minor))) return python
  }
  return undefined
}

async function isUsable(python, minor) {
  try {
    await runCommand(python, ['-c', probe(minor)], { timeoutMs: probeTimeoutMs })
    return true
  } catch {
    return false
  }
}
