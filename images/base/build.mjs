/**
 * Builds the stock template's image, `base`: from Debian's image where there is a Docker engine that can have it, else from
 * Debian's packages with mmdebstrap, which needs no engine. Plain Node without dependencies, as `scripts/setup` runs it before
 * anything is installed. What is in the image, and its name, is recipe.mjs's; an image that is there is never built twice.
 */
import { copyFile, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeImageArchive } from './image-archive.mjs'
import {
  architectures,
  baseImageName,
  config,
  here,
  mmdebstrapOptions,
  npmPackages,
  parent,
} from './recipe.mjs'
import { execute, outcomeOf, run, start, tail } from './run.mjs'

export { baseImageName }

/** A registry that hasn't named the image's layers by then counts as absent. */
const registryAnswerMs = 10_000

/**
 * Makes sure that the Docker engine has the image and resolves with its name. `log` takes one line for each step. Rejects with
 * an `Error` that says what to do.
 */
export async function buildBaseImage({ log }) {
  const image = await baseImageName()
  await run('docker', ['version', '--format', '{{.Server.Version}}'], {
    hint: 'Docker is needed and does not answer. Start it, or put yourself into the group "docker".',
  })
  if (await hasImage(image)) return image
  return building(image, log, async (work) => {
    if (await hasParent(log)) {
      log(`Building from ${parent}.`)
      for (const file of ['Dockerfile', 'packages.txt', 'provision.sh'])
        await copyFile(join(here, file), join(work, file))
      await run('docker', ['build', '--tag', image, work], { hint: 'The build of the base image failed.' })
      return
    }
    log('No image registry answers.')
    const archive = join(work, 'image.tar')
    await buildFromPackages({ image, archive, work, log })
    await run('docker', ['load', '--input', archive], { hint: 'The base image could not be loaded.' })
  })
}

/**
 * Makes an archive of the image as `docker save` does, without any engine; one that is there is replaced once the new one is
 * whole. Resolves and rejects as `buildBaseImage`.
 */
export async function buildBaseArchive({ file, log }) {
  const image = await baseImageName()
  return building(image, log, async (work) => {
    await mkdir(dirname(file), { recursive: true })
    const draft = `${file}.${process.pid}`
    try {
      await buildFromPackages({ image, archive: draft, work, log })
      await rename(draft, file)
    } finally {
      await rm(draft, { force: true })
    }
  })
}

/** `build` finds in its folder what the image has from npm. */
async function building(image, log, build) {
  if (architectures[process.arch] === undefined) {
    throw new Error(`The base image can't be built for ${process.arch}: there is no Node for it.`)
  }
  const work = await mkdtemp(join(tmpdir(), 'e2b-base-'))
  try {
    log(`Building ${image}; this happens once.`)
    await Promise.all(Object.entries(npmPackages).map(([file, name]) => fetchPackage(name, file, work)))
    await build(work)
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

/** `archive`: the file to make. */
async function buildFromPackages({ image, archive, work, log }) {
  log("Building from Debian's packages; this takes two minutes or so.")
  await requireMmdebstrap(log)
  const files = Object.keys(npmPackages).map((file) => join(work, file))
  const made = start('mmdebstrap', [...(await mmdebstrapOptions(files)), '-'])
  const ended = outcomeOf(made)
  try {
    await writeImageArchive(archive, made.stdout, {
      image,
      architecture: architectures[process.arch],
      config,
    })
  } catch (error) {
    made.kill()
    await ended
    throw new Error(`The archive of the base image could not be written: ${error.message}.`, { cause: error })
  }
  // A root file system that was cut short must never become an image.
  const { code, stderr } = await ended
  if (code !== 0)
    throw new Error(`The base image could not be built from Debian's packages.\n${tail(stderr)}`)
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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const image = await buildBaseImage({ log: (line) => process.stderr.write(`${line}\n`) })
    process.stdout.write(`${image}\n`)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
