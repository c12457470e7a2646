/**
 * build/newer-python/: Python 3.13 as Debian 13 has it, with a C library of its own, for what doesn't run on the
 * distribution's Python. Unpacked, not installed: nothing else of the machine sees it.
 */
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'
import { runCommand } from './run-command.mjs'

const unpackTimeoutMs = 10 * 60_000
const suite = 'trixie'
const packages = [
  ...['python3.13-minimal', 'python3.13-venv', 'libpython3.13-stdlib', 'libc6', 'libstdc++6'],
  ...['libssl3t64', 'libffi8', 'libsqlite3-0', 'libbz2-1.0', 'liblzma5', 'zlib1g', 'libexpat1'],
]
/** By the machine's architecture as Node.js names it: the C library's loader and its folder of libraries. */
const places = {
  x64: { loader: 'usr/lib64/ld-linux-x86-64.so.2', libraries: 'usr/lib/x86_64-linux-gnu' },
  arm64: { loader: 'usr/lib/ld-linux-aarch64.so.1', libraries: 'usr/lib/aarch64-linux-gnu' },
}

/** The program, for a folder that the step has filled; it may move with that folder. */
export const newerPython = (folder) => join(folder, 'usr', 'bin', 'python')

/**
 * @param {{ folder: string, isNeeded: () => Promise<boolean> }} options
 * @returns {import('./run-steps.mjs').Step}
 */
export function newerPythonStep({ folder, isNeeded }) {
  return {
    name: 'newer Python',
    isDone: async () => existsSync(newerPython(folder)) || !(await isNeeded()),
    run: async (progress) => {
      const missing = 'A program that unpacks Debian 13’s Python (mmdebstrap) is missing'
      if (findProgram('mmdebstrap') === undefined) {
        await installPackages(['mmdebstrap', 'debian-archive-keyring'], { missing, progress })
      }
      const fresh = `${folder}.new`
      rmSync(fresh, { recursive: true, force: true })
      mkdirSync(fresh, { recursive: true })
      const archive = join(fresh, 'root.tar')
      progress('unpacking Python 3.13 of Debian 13')
      await runCommand(
        'mmdebstrap',
        ['--quiet', '--variant=extract', `--include=${packages.join(',')}`, suite, archive],
        { timeoutMs: unpackTimeoutMs, advice: 'Check that apt reaches a Debian mirror.', progress },
      )
      await runCommand('tar', ['-C', fresh, '-xf', archive, './usr'], {
        timeoutMs: unpackTimeoutMs,
        progress,
      })
      rmSync(archive)
      writeProgram(newerPython(fresh))
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(dirname(folder), { recursive: true })
      renameSync(fresh, folder)
    },
  }
}

/** A program that the kernel can start: Python by the loader that its C library needs. */
function writeProgram(file) {
  const { loader, libraries } = places[process.arch] ?? places.x64
  const text = `#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/../..
exec "$root/${loader}" --argv0 "$0" --library-path "$root/${libraries}" "$root/usr/bin/python3.13" "$@"
`
  writeFileSync(file, text)
  chmodSync(file, 0o755)
}
