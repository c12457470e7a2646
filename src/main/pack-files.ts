/** The files of a COPY as an archive, the same bytes for the same files. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { ConfigError } from '../config.ts'

export interface PackedFiles {
  file: string
  sizeBytes: number
  /** 64 hex digits */
  hash: string
}

/** Writes what `source` means in the folder `context` to a tar archive. Errors: `ConfigError` where that is nothing. */
export async function packFiles(context: string, source: string, file: string): Promise<PackedFiles> {
  const paths = await expand(context, source)
  if (paths.length === 0) throw new ConfigError(`COPY ${source}: there is no such file in ${context}.`)
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  await promisify(execFile)('tar', [
    ...same,
    ...excluded(context),
    '-C',
    context,
    '-cf',
    file,
    '--',
    ...paths,
  ])
  const digest = createHash('sha256').update(`COPY ${source}\n`)
  await pipeline(createReadStream(file), digest)
  return { file, sizeBytes: (await stat(file)).size, hash: digest.digest('hex') }
}

/** Paths below `context`, in which `*` and `?` stand for anything but a slash. Errors: `ConfigError`. */
async function expand(context: string, source: string): Promise<string[]> {
  const path = posix.normalize(source.replace(/^\/+/, '')).replace(/\/$/, '')
  if (path === '..' || path.startsWith('../') || source.includes('**')) {
    throw new ConfigError(`COPY ${source}: a source is a path below the Dockerfile's folder, without "**".`)
  }
  // Names as the sandbox knows them: without `./` before them.
  const segments = path === '.' ? ['*'] : path.split('/')
  let found = ['']
  for (const segment of segments) {
    const next: string[] = []
    for (const folder of found) {
      if (!/[*?[]/.test(segment)) {
        if (existsSync(join(context, folder, segment))) next.push(posix.join(folder, segment))
        continue
      }
      const pattern = new RegExp(
        `^${segment
          .replaceAll(/[.+^${}()|\\]/g, '\\$&')
          .replaceAll('*', '.*')
          .replaceAll('?', '.')}$`,
      )
      const names = await readdir(join(context, folder)).catch(() => [])
      for (const name of names.toSorted()) if (pattern.test(name)) next.push(posix.join(folder, name))
    }
    found = next
  }
  return found
}

/** What `.dockerignore` leaves out, as tar says it. Errors: `ConfigError` (exceptions). */
function excluded(context: string): string[] {
  const file = join(context, '.dockerignore')
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim())
  const patterns = lines.filter((line) => line !== '' && !line.startsWith('#'))
  if (patterns.some((pattern) => pattern.startsWith('!'))) {
    throw new ConfigError(
      '.dockerignore has exceptions ("!"), which this command does not know. Use "e2b template create".',
    )
  }
  return patterns.flatMap((pattern) => {
    const path = pattern.replace(/^\/+|\/+$/g, '')
    const anywhere = path.startsWith('**/')
    return [
      ...['--wildcards', '--no-wildcards-match-slash', anywhere ? '--no-anchored' : '--anchored'],
      `--exclude=${anywhere ? path.slice(3) : path}`,
    ]
  })
}
