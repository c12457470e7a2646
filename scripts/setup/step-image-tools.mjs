/**
 * build/image-tools.tar: programs that need nothing but a kernel, for images that have no shell or no package manager. They
 * are Debian's `bash-static` and `busybox-static` as they are, with their licenses (GPL), and go from here into those images.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { downloadPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'
import { runCommand } from './run-command.mjs'
import { unpackDeb } from './unpack-deb.mjs'

const archiveMs = 60_000
const fetchMs = 30_000
const packageMaxBytes = 16 * 2 ** 20
/** How long after a failure nothing is tried again, in milliseconds. */
const restMs = 24 * 60 * 60_000
const packages = [
  { name: 'bash-static', program: 'bash-static', as: 'bash' },
  { name: 'busybox-static', program: 'busybox', as: 'busybox' },
]
/** Address of a mirror of Debian, for systems without apt. */
const mirrorVariable = 'E2B_SERVER_DEBIAN_MIRROR'
const debian12 = {
  bash: 'b/bash/bash-static_5.2.15-2+b13',
  busybox: 'b/busybox/busybox-static_1.35.0-4+deb12u1+b1',
}
/** The same of Debian 12 for other systems, by the machine's architecture as Node.js names it. */
const pinned = {
  x64: [
    {
      path: `${debian12.bash}_amd64.deb`,
      sha256: 'f62e37fc6c2c14417f270323066b4c621db5dc151a26f7a1f58e3fc24111d1c8',
    },
    {
      path: `${debian12.busybox}_amd64.deb`,
      sha256: '3d3fdbe91d4660c873e14b092c213fe81c1da6362daa236eb25d0171eb108744',
    },
  ],
  arm64: [
    {
      path: `${debian12.bash}_arm64.deb`,
      sha256: 'b592f626c16f70b65dc44a8018a49bd115c97249102f6a41260b10d9aa6428eb',
    },
    {
      path: `${debian12.busybox}_arm64.deb`,
      sha256: '732c9135564fc71337e0e05fb4da4d11e6c28c1834bce3e405e575afef2a52f5',
    },
  ],
}

/**
 * Never fails: where the programs can't be had the server says so to whoever needs them. `archive` is then absent and
 * `<archive>.absent` says why; the next day it is tried again.
 *
 * @param {{ archive: string, getters?: Getter[] }} options `archive`: where it goes
 * @returns {import('./run-steps.mjs').Step}
 *
 * @typedef {(folder: string, progress: import('./report.mjs').Progress) => Promise<void>} Getter puts the packages' files
 *   into a folder
 */
export function imageToolsStep({ archive, getters = [byApt, byHttps] }) {
  const absent = `${archive}.absent`
  return {
    name: 'tools for bare images',
    isDone: async () => existsSync(archive) || isRecent(absent),
    run: async (progress) => {
      const work = `${archive}.${process.pid}`
      const reasons = []
      for (const get of getters) {
        try {
          mkdirSync(join(work, 'packages'), { recursive: true })
          await get(join(work, 'packages'), progress)
          await archiveOf(work, archive, progress)
          rmSync(absent, { force: true })
          return
        } catch (error) {
          reasons.push(error.message)
        } finally {
          rmSync(work, { recursive: true, force: true })
        }
      }
      mkdirSync(dirname(absent), { recursive: true })
      writeFileSync(absent, `${reasons.join('\n')}\n`)
      progress(
        `not to be had now, so images without a package manager stay as they are: ${reasons.join(' ')}`,
      )
    },
  }
}

function isRecent(file) {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat !== undefined && Date.now() - stat.mtimeMs < restMs
}

async function byApt(folder, progress) {
  if (findProgram('apt-get') === undefined) throw new Error('This system has no apt-get.')
  await downloadPackages(
    packages.map(({ name }) => name),
    { folder, progress },
  )
}

async function byHttps(folder, progress) {
  const mirror = process.env[mirrorVariable]
  if (!mirror) throw new Error(`Set ${mirrorVariable} to the address of a mirror of Debian.`)
  const mirrors = [`${mirror.replace(/\/+$/, '')}/pool/main`]
  await fetchPackages(pinned[process.arch] ?? [], { mirrors, folder, progress })
}

/**
 * Fetches files whose contents are known. Errors: whatever keeps one of them from being had.
 *
 * @param {{ path: string, sha256: string }[]} files `path`: below a mirror's address
 * @param {{ mirrors: string[], folder: string, progress: import('./report.mjs').Progress }} options
 */
export async function fetchPackages(files, { mirrors, folder, progress }) {
  if (files.length === 0) throw new Error(`There are none for this kind of CPU (${process.arch}).`)
  for (const { path, sha256 } of files) {
    const name = path.split('/').at(-1)
    progress(`fetching ${name}`)
    let content
    let reason
    for (const mirror of mirrors) {
      try {
        content = await fetchBounded(`${mirror}/${path}`)
        if (createHash('sha256').update(content).digest('hex') === sha256) break
        reason = 'it is not the file that is known'
      } catch (error) {
        reason = error.cause?.message ?? error.message
      }
      content = undefined
    }
    if (content === undefined) throw new Error(`${name} could not be fetched: ${reason}`)
    writeFileSync(join(folder, name), content)
  }
}

async function fetchBounded(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(fetchMs) })
  if (!response.ok) throw new Error(`its server answers ${response.status}`)
  const pieces = []
  let bytes = 0
  for await (const piece of response.body) {
    bytes += piece.length
    if (bytes > packageMaxBytes) throw new Error('it is too large')
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** Of the packages only the programs and their licenses are kept. */
async function archiveOf(work, archive, progress) {
  const root = join(work, 'root')
  mkdirSync(join(root, 'licenses'), { recursive: true })
  for (const { name, program, as } of packages) {
    const file = readdirSync(join(work, 'packages')).find((each) => each.startsWith(`${name}_`))
    if (file === undefined) throw new Error(`The package ${name} is not there.`)
    const unpacked = join(work, name)
    await unpackDeb(join(work, 'packages', file), unpacked, { progress })
    // Debian 12 still has programs in /bin.
    const [from] = ['usr/bin', 'bin'].map((each) => join(unpacked, each, program)).filter(existsSync)
    if (from === undefined) throw new Error(`The package ${name} has no program ${program}.`)
    copyFileSync(from, join(root, as))
    chmodSync(join(root, as), 0o755)
    copyFileSync(join(unpacked, 'usr', 'share', 'doc', name, 'copyright'), join(root, 'licenses', as))
  }
  const made = join(work, 'tools.tar')
  const owner = ['--owner=0', '--group=0', '--numeric-owner']
  await runCommand('tar', ['-C', root, ...owner, '-cf', made, '.'], { timeoutMs: archiveMs, progress })
  renameSync(made, archive)
}
