/**
 * Builds the stock template's image, `base`, if this machine doesn't have it: from Debian's image where a registry
 * answers, else from Debian's packages with mmdebstrap. Plain Node without dependencies, as `scripts/setup` runs it
 * before anything is installed.
 *
 * The tag is a hash over the recipe, so a changed recipe is a new image and an unchanged one is never built twice.
 * Node, npm and yarn come from the npm registry in the versions below: Debian 12 has Node 18 only.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What the image has from the npm registry: file names for provision.sh, and packages. */
const npmPackages = {
  'node.tgz': `node-linux-${process.arch}@24.22.3`,
  'npm.tgz': 'npm@11.21.2',
  'yarn.tgz': 'yarn@1.22.22',
}
const architectures = ['x64', 'arm64']
const parent = 'debian:bookworm-slim'
const suite = 'bookworm'
/** A registry that hasn't named the image's layers by then counts as absent. */
const registryAnswerMs = 10_000
const stepMs = 15 * 60_000
const recipe = ['Dockerfile', 'build.mjs', 'packages.txt', 'provision.sh']
const here = fileURLToPath(new URL('.', import.meta.url))

/** The image's name: `e2b-server/base:<first 12 hex digits of SHA-256 over the recipe's files>`. */
export async function baseImageName() {
  const hash = createHash('sha256')
  for (const file of recipe) {
    const content = await readFile(join(here, file))
    hash.update(`${file}\0${content.length}\0`).update(content)
  }
  return `e2b-server/base:${hash.digest('hex').slice(0, 12)}`
}

/**
 * Makes sure that the image exists and resolves with its name. `log` takes one line for each step. Rejects with an
 * `Error` that says what to do.
 */
export async function buildBaseImage({ log }) {
  const image = await baseImageName()
  await run('docker', ['version', '--format', '{{.Server.Version}}'], {
    hint: 'Docker is needed and does not answer. Start it, or put yourself into the group "docker".',
  })
  if (await hasImage(image)) return image
  if (!architectures.includes(process.arch)) {
    throw new Error(`The base image can't be built for ${process.arch}: there is no Node for it.`)
  }
  const work = await mkdtemp(join(tmpdir(), 'e2b-base-'))
  try {
    log(`Building ${image}; this happens once.`)
    await Promise.all(Object.entries(npmPackages).map(([file, name]) => fetchPackage(name, file, work)))
    for (const file of ['Dockerfile', 'packages.txt', 'provision.sh']) {
      await copyFile(join(here, file), join(work, file))
    }
    if (await hasParent(log)) await buildFromParent(image, work, log)
    else await buildFromPackages(image, work, log)
    log(`Built ${image}.`)
    return image
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function hasImage(image) {
  return (await execute('docker', ['image', 'inspect', '--format', 'there', image])).code === 0
}

/** Whether the parent image is here or could be pulled. */
async function hasParent(log) {
  if (await hasImage(parent)) return true
  log(`Pulling ${parent}.`)
  const pulled = await execute('docker', ['pull', parent], { firstOutputMs: registryAnswerMs })
  return pulled.code === 0
}

async function buildFromParent(image, work, log) {
  log(`Building from ${parent}.`)
  await run('docker', ['build', '--tag', image, work], {
    hint: 'The build of the base image failed.',
  })
}

async function buildFromPackages(image, work, log) {
  log(`No image registry answers. Building from Debian's packages; this takes two minutes or so.`)
  await requireMmdebstrap(log)
  const packages = (await readFile(join(work, 'packages.txt'), 'utf8')).split('\n').filter(Boolean)
  const files = ['provision.sh', ...Object.keys(npmPackages)].map((file) => join(work, file)).join(' ')
  const source = spawn(
    'mmdebstrap',
    [
      '--variant=minbase',
      '--components=main',
      `--include=${packages.join(',')}`,
      '--dpkgopt=path-exclude=/usr/share/man/*',
      '--dpkgopt=path-exclude=/usr/share/locale/*',
      '--dpkgopt=path-exclude=/usr/share/doc/*',
      '--dpkgopt=path-include=/usr/share/doc/*/copyright',
      '--dpkgopt=force-unsafe-io',
      '--customize-hook=mkdir -p "$1/tmp/recipe"',
      `--customize-hook=copy-in ${files} /tmp/recipe`,
      '--customize-hook=chroot "$1" sh /tmp/recipe/provision.sh',
      suite,
      '-',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], signal: AbortSignal.timeout(stepMs) },
  )
  const made = outcome(source)
  const imported = await execute(
    'docker',
    [
      'import',
      '--change=ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      '--change=CMD ["/bin/bash"]',
      '-',
    ],
    { input: source.stdout },
  )
  const { code, stderr } = await made
  // The tag comes last: an import of a root file system that was cut short must never get it.
  if (code !== 0 || imported.code !== 0) {
    if (imported.code === 0) await execute('docker', ['image', 'rm', imported.stdout.trim()])
    throw new Error(
      `The base image could not be built from Debian's packages.\n${tail(stderr + imported.stderr)}`,
    )
  }
  await run('docker', ['tag', imported.stdout.trim(), image], { hint: 'The base image could not be tagged.' })
}

async function requireMmdebstrap(log) {
  if ((await execute('mmdebstrap', ['--version'])).code === 0) return
  const remedy = 'Install mmdebstrap (apt-get install mmdebstrap), or let Docker reach an image registry.'
  if (process.getuid?.() !== 0) throw new Error(`The base image can't be built. ${remedy}`)
  log('Installing mmdebstrap.')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '-y', '--no-install-recommends', 'mmdebstrap']
  if ((await execute('apt-get', install, { env })).code === 0) return
  await run('apt-get', ['update'], { hint: remedy, env })
  await run('apt-get', install, { hint: remedy, env })
}

/** Puts a package's tarball into `directory` as `file`; npm itself checks its integrity. */
async function fetchPackage(name, file, directory) {
  const place = join(directory, `${file}.d`)
  await mkdir(place)
  await run('npm', ['pack', name, '--silent', '--ignore-scripts', '--pack-destination', place], {
    hint: `${name} could not be fetched from the npm registry, which the base image needs.`,
  })
  const [tarball] = (await readdir(place)).filter((packed) => packed.endsWith('.tgz'))
  if (tarball === undefined) throw new Error(`npm pack ${name} left no file behind.`)
  await rename(join(place, tarball), join(directory, file))
  await rm(place, { recursive: true })
}

/** Runs a program that must succeed; `hint` leads the error otherwise. */
async function run(program, args, { hint, ...options }) {
  const { code, stdout, stderr } = await execute(program, args, options)
  if (code !== 0) throw new Error(`${hint}\n${tail(stderr || stdout)}`)
  return stdout
}

/** Runs a program and resolves with what it did; never rejects. One that can't be started has the code 127. */
function execute(program, args, { input, firstOutputMs, env } = {}) {
  const child = spawn(program, args, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // Not `timeout`: its timer outlives a program that can't be started, and keeps this process from ending.
    signal: AbortSignal.timeout(stepMs),
    ...(env && { env }),
  })
  if (input !== undefined) {
    // A program that stops reading says why on its own; the broken pipe adds nothing.
    child.stdin.on('error', () => {})
    input.pipe(child.stdin)
  }
  if (firstOutputMs !== undefined) {
    const timer = setTimeout(() => child.kill(), firstOutputMs)
    child.stdout.once('data', () => clearTimeout(timer))
    child.once('close', () => clearTimeout(timer))
  }
  return outcome(child, { keepStdout: true })
}

function outcome(child, { keepStdout = false } = {}) {
  return new Promise((resolve) => {
    let stdout = ''
    let stderr = ''
    if (keepStdout) {
      child.stdout.setEncoding('utf8').on('data', (text) => {
        stdout = tail(stdout + text)
      })
    }
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr = tail(stderr + text)
    })
    child.once('error', (error) => resolve({ code: 127, stdout, stderr: error.message }))
    child.once('close', (code) => resolve({ code: code ?? 1, stdout, stderr }))
  })
}

/** The end of a program's output, where it says what went wrong. */
function tail(text) {
  return text.slice(-4000)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const image = await buildBaseImage({ log: (line) => process.stderr.write(`${line}\n`) })
    process.stdout.write(`${image}\n`)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
