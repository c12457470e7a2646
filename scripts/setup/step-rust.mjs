/** A Rust toolchain new enough for the guest agent, where it has to be built or tested. */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { candidateVersions, installPackages } from './apt.mjs'
import { compareVersions } from './compare-versions.mjs'
import { findProgram } from './find-program.mjs'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'

/**
 * Debian 12 has a newer toolchain with the suffix `-web` beside its own, which is old enough to download the whole
 * index of crates from GitHub before it does anything.
 */
const toolchains = [
  { rustc: 'rustc', cargo: 'cargo' },
  { rustc: 'rustc-web', cargo: 'cargo-web' },
]
/** rustc links through gcc, against the C library's files. */
const linker = ['gcc', 'libc6-dev']

/**
 * @param {{ root: string, isNeeded: () => Promise<boolean> }} options
 * @returns {import('./run-steps.mjs').Step}
 */
export function rustStep({ root, isNeeded }) {
  return {
    name: 'Rust toolchain',
    isDone: async () => !(await isNeeded()) || ((await findCargo(root)) !== undefined && hasLinker()),
    run: async (progress) => {
      const oldest = oldestRust(root)
      const missing = `The guest agent is built with Rust ${oldest} or newer and gcc, which can't be found`
      const packages = hasLinker() ? [] : [...linker]
      if ((await findCargo(root)) === undefined) {
        const known = await candidateVersions(
          toolchains.map(({ rustc }) => rustc),
          progress,
        )
        packages.push(...pickToolchain(known, oldest))
      }
      await installPackages(packages, { missing, progress })
    },
  }
}

/**
 * The packages of the newest toolchain. Errors: `SetupError` when none is new enough.
 *
 * @param {Map<string, string>} known versions of the packages that apt has, as `candidateVersions` gives them
 * @param {string} oldest
 * @returns {string[]}
 */
export function pickToolchain(known, oldest) {
  const [newest] = toolchains
    .filter(({ rustc }) => known.has(rustc))
    .sort((a, b) => compareVersions(known.get(b.rustc), known.get(a.rustc)))
  if (newest === undefined || compareVersions(known.get(newest.rustc), oldest) < 0) {
    throw new SetupError(`This system's packages have no Rust ${oldest} or newer.`, {
      advice: 'Install one with rustup (https://rustup.rs), then run this command again.',
    })
  }
  return [newest.rustc, newest.cargo]
}

/** The `rust-version` of guest/Cargo.toml. */
export function oldestRust(root) {
  const manifest = readFileSync(join(root, 'guest', 'Cargo.toml'), 'utf8')
  const version = /^rust-version\s*=\s*"([\d.]+)"/m.exec(manifest)?.[1]
  if (version === undefined) throw new SetupError('guest/Cargo.toml names no rust-version.')
  return version
}

/**
 * The `cargo` to build with: the first in PATH or in rustup's usual folder whose compiler is new enough. Undefined
 * without one.
 *
 * @param {string} root the checkout
 * @returns {Promise<string | undefined>}
 */
export async function findCargo(root) {
  const oldest = oldestRust(root)
  for (const path of [process.env.PATH, join(homedir(), '.cargo', 'bin')]) {
    const cargo = findProgram('cargo', { path })
    const rustc = findProgram('rustc', { path })
    if (cargo === undefined || rustc === undefined) continue
    const version = await rustcVersion(rustc, join(root, 'guest'))
    if (version !== undefined && compareVersions(version, oldest) >= 0) return cargo
  }
  return undefined
}

/** Undefined when the compiler can't say, as rustup's stand-in without an installed toolchain can't. */
async function rustcVersion(rustc, cwd) {
  try {
    const [line] = await runCommand(rustc, ['--version'], { cwd, timeoutMs: 30_000 })
    return line?.split(' ')[1]
  } catch {
    return undefined
  }
}

function hasLinker() {
  return findProgram('cc') !== undefined || findProgram('gcc') !== undefined
}
