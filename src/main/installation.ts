/** What `scripts/setup` made: found beside the program, whether it runs from dist/ or from src/main/. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConfigError } from './config.ts'
import { readIfThere } from './state-dir.ts'

/** The folder with package.json. */
export function installationRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (folder !== dirname(folder) && !existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

export const guestBinary = () => join(installationRoot(), 'build/e2b-guest')

/** The helper on this machine: makes sandboxes of the native runtime, and does for Docker's what Node.js can't. */
export const hostBinary = () => join(installationRoot(), 'build/e2b-host')

/** The helper's directory for servers that aren't root, unless they say so: that of `deploy/systemd` */
export const usualHostRoot = '/var/lib/e2b-host'

/** gVisor's program, where setup was told to get it. */
export const runscBinary = () => join(installationRoot(), 'build/runsc')

/** Errors: `ConfigError` when setup hasn't run. */
export function requireGuestBinary(): string {
  if (existsSync(guestBinary())) return guestBinary()
  throw new ConfigError('The guest agent is not built. Run "npm start", which builds it.')
}

/** Errors: `ConfigError` when setup hasn't run. */
export function requireHostBinary(): string {
  if (existsSync(hostBinary())) return hostBinary()
  throw new ConfigError('The helper is not built. Run "npm start", which builds it.')
}

/** Programs for images that have no shell or no package manager; there is no such file where setup could not get them. */
export const imageTools = () => join(installationRoot(), 'build/image-tools.tar')

/** Where the recipes of stock templates are. */
export const recipesFolder = () => join(installationRoot(), 'images')

/** Name of the image that the template `base` starts from; undefined when setup hasn't made it. */
export function baseImage(): string | undefined {
  return readIfThere(join(installationRoot(), 'build/base-image'))?.trim()
}

/** Where setup puts an archive of that image, as `docker save` makes it, for a runtime that needs no engine. */
export function baseArchive(image: string): string {
  return join(installationRoot(), 'build', `base-${image.split(':').at(-1)}.tar`)
}

/** The program of a data worker, and what Node.js needs to run it: a bundle, or the sources where those run. */
export function dataWorkerProgram(): { file: string; execArgv: string[] } {
  const own = fileURLToPath(import.meta.url)
  if (own.endsWith('.ts'))
    return { file: join(dirname(own), 'data-worker.ts'), execArgv: ['--import', 'tsx'] }
  const execArgv = ['--enable-source-maps']
  return { file: join(installationRoot(), 'dist/data-worker.mjs'), execArgv }
}

/** The command line of the program itself, as arguments of Node.js: as it is installed, or from its sources. */
export function ownProgram(): string[] {
  const own = fileURLToPath(import.meta.url)
  if (own.endsWith('.ts')) return ['--import', 'tsx', join(dirname(own), 'main.ts')]
  return [join(installationRoot(), 'scripts/e2b-server.mjs')]
}

/** The file that says which program this is: as old as its installation. */
export const programFile = () => join(installationRoot(), 'package.json')

/** Of a package that is installed beside the program. */
export function packageVersion(name: string): string {
  const file = join(installationRoot(), 'node_modules', name, 'package.json')
  return JSON.parse(readIfThere(file) ?? '{}').version ?? 'unknown'
}

export function programVersion(): string {
  return JSON.parse(readIfThere(programFile()) ?? '{}').version
}
