/** Debian's packages, on machines that are not Debian too. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './find-program.mjs'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'

const unpackTimeoutMs = 60_000
const magic = '!<arch>\n'
const headerBytes = 60

/**
 * Unpacks a package's files below a folder, which is made. Errors: `SetupError`.
 *
 * @param {string} file
 * @param {string} folder
 * @param {{ progress?: import('./report.mjs').Progress, program?: string }} [options] `program`: what unpacks packages
 *   where it is there; without it tar does, which needs its `xz` for most of them
 */
export async function unpackDeb(file, folder, { progress, program = 'dpkg-deb' } = {}) {
  mkdirSync(folder, { recursive: true })
  const options = { timeoutMs: unpackTimeoutMs, progress }
  if (findProgram(program) !== undefined) {
    await runCommand(program, ['-x', file, folder], options)
    return
  }
  const { name, content } = dataOf(readFileSync(file))
  const archive = join(folder, name)
  writeFileSync(archive, content)
  await runCommand('tar', ['--no-same-owner', '-C', folder, '-xf', archive], options)
}

/**
 * The member of a package that has its files. Errors: `SetupError` for what is no package.
 *
 * @param {Buffer} deb
 * @returns {{ name: string, content: Buffer }}
 */
function dataOf(deb) {
  let at = magic.length
  if (deb.toString('latin1', 0, at) !== magic)
    throw new SetupError('A package is not in the form of packages.')
  while (at + headerBytes <= deb.length) {
    const name = deb.toString('latin1', at, at + 16).replace(/\/? *$/, '')
    const size = Number.parseInt(deb.toString('latin1', at + 48, at + 58), 10)
    const content = deb.subarray(at + headerBytes, at + headerBytes + size)
    if (/^data\.tar(\.\w+)?$/.test(name)) return { name, content }
    if (!(size >= 0)) break
    // Members begin at even places.
    at += headerBytes + size + (size % 2)
  }
  throw new SetupError('A package has no files.')
}
