/**
 * What the stock template's image, `base`, is made of. Nothing else than this file and those that it names decides what is in
 * the image, so its name is a hash over them.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const here = fileURLToPath(new URL('.', import.meta.url))

/** What the image has from the npm registry: file names for provision.sh, and packages. Debian 12 has Node 18 only. */
export const npmPackages = {
  'node.tgz': `node-linux-${process.arch}@24.22.3`,
  'npm.tgz': 'npm@11.21.2',
  'yarn.tgz': 'yarn@1.22.22',
}
/** As Node.js and images name the machines that there is a Node for */
export const architectures = { x64: 'amd64', arm64: 'arm64' }
export const parent = 'debian:bookworm-slim'
/** How it wants to be run; the Dockerfile says the same */
export const config = {
  Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  Cmd: ['/bin/bash'],
}

/** How mmdebstrap makes a root file system that is as `parent`, with the packages. `files`: what provision.sh finds beside it. */
export async function mmdebstrapOptions(files) {
  return [
    '--variant=minbase',
    '--components=main',
    `--include=${(await debianPackages()).join(',')}`,
    '--dpkgopt=path-exclude=/usr/share/man/*',
    '--dpkgopt=path-exclude=/usr/share/locale/*',
    '--dpkgopt=path-exclude=/usr/share/doc/*',
    '--dpkgopt=path-include=/usr/share/doc/*/copyright',
    '--dpkgopt=force-unsafe-io',
    '--customize-hook=mkdir -p "$1/tmp/recipe"',
    `--customize-hook=copy-in ${[join(here, 'provision.sh'), ...files].join(' ')} /tmp/recipe`,
    '--customize-hook=chroot "$1" sh /tmp/recipe/provision.sh',
    'bookworm',
  ]
}

async function debianPackages() {
  return (await readFile(join(here, 'packages.txt'), 'utf8')).split('\n').filter(Boolean)
}

/** The image's name: `e2b-server/base:<first 12 hex digits of SHA-256 over the recipe's files>`. */
export async function baseImageName() {
  const hash = createHash('sha256')
  for (const file of ['Dockerfile', 'packages.txt', 'provision.sh', 'recipe.mjs']) {
    const content = await readFile(join(here, file))
    hash.update(`${file}\0${content.length}\0`).update(content)
  }
  return `e2b-server/base:${hash.digest('hex').slice(0, 12)}`
}
