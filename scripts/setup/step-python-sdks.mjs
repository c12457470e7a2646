/**
 * build/python/<version>/: one virtual environment for each release of E2B's Python SDK that the conformance tests
 * drive, as tests/conformance/python/requirements/<version>.txt pins it; in the same way build/frameworks/<name>/ for
 * what docs/works-with.md says is tested.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'
import { hashFiles, readStamp, writeStamp } from './stamp.mjs'

const probeTimeoutMs = 20_000
const createTimeoutMs = 2 * 60_000
const installTimeoutMs = 10 * 60_000
/** The system's own comes first: apt completes that one, and no other. */
const systemPython = '/usr/bin/python3'
/** A Python that can make virtual environments and that the newest SDK runs on. */
const probe = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))'

/**
 * A Python that can make virtual environments.
 *
 * @param {{ isNeeded: () => Promise<boolean> }} options
 * @returns {import('./run-steps.mjs').Step}
 */
export function pythonStep({ isNeeded }) {
  return {
    name: 'Python',
    isDone: async () => !(await isNeeded()) || (await findPython()) !== undefined,
    run: async (progress) => {
      await installPackages(['python3', 'python3-venv'], {
        missing: 'Python with its module venv is missing',
        progress,
      })
      if ((await findPython()) === undefined) {
        throw new SetupError(
          "The Python SDKs need Python 3.10 or newer with its module venv, which can't be found.",
          { advice: 'Install one so that `python3 -m venv` works, then run this command again.' },
        )
      }
    },
  }
}

/**
 * @param {{ name?: string, requirements: string, folder: string, stamp: string }} options `requirements`: the folder of the pins;
 *   `folder`: where the environments go
 * @returns {import('./run-steps.mjs').Step}
 */
export function pythonSdksStep({ name = 'Python SDKs', requirements, folder, stamp }) {
  const versions = versionsIn(requirements)
  const hash = () => hashFiles(requirements, ['.'])
  return {
    name,
    isDone: async () =>
      readStamp(stamp) === hash() &&
      versions.every((version) => existsSync(join(folder, version, 'bin', 'python'))),
    run: async (progress) => {
      const before = hash()
      const python = await findPython()
      rmSync(folder, { recursive: true, force: true })
      for (const version of versions) {
        await createEnvironment({
          python,
          folder: join(folder, version),
          pins: join(requirements, `${version}.txt`),
          progress,
        })
      }
      writeStamp(stamp, before)
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

/** The path of a usable Python; undefined where there is none. */
async function findPython() {
  for (const python of [systemPython, findProgram('python3')]) {
    if (python !== undefined && existsSync(python) && (await isUsable(python))) return python
  }
  return undefined
}

async function isUsable(python) {
  try {
    await runCommand(python, ['-c', probe], { timeoutMs: probeTimeoutMs })
    return true
  } catch {
    return false
  }
}

async function createEnvironment({ python, folder, pins, progress }) {
  progress(`making a Python environment in ${folder}`)
  await runCommand(python, ['-m', 'venv', folder], { timeoutMs: createTimeoutMs, progress })
  progress(`installing what ${basename(pins)} names`)
  await runCommand(
    join(folder, 'bin', 'python'),
    ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--no-deps', '-r', pins],
    {
      timeoutMs: installTimeoutMs,
      advice: 'Check that pip reaches its package index, then run this command again.',
      progress,
    },
  )
}
