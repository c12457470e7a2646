/** The files that a Dockerfile can copy: those of its folder but for what `.dockerignore` there leaves out. */
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import dockerignore from '@balena/dockerignore'
import { ConfigError } from './config.ts'

const ignoreFile = '.dockerignore'

/**
 * Paths below the folder `context`, folders among them, each before what is in it; sorted. Links are not followed. A folder
 * that is left out isn't there itself, but what an exception (`!`) brings back of it is.
 */
export async function listContext(context: string): Promise<string[]> {
  const rules = dockerignore.default()
  const file = join(context, ignoreFile)
  if (existsSync(file)) rules.add(readFileSync(file, 'utf8'))
  const found: string[] = []
  const walk = async (folder: string) => {
    const entries = await readdir(join(context, folder), { withFileTypes: true })
    for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
      const path = posix.join(folder, entry.name)
      if (!rules.ignores(path)) found.push(path)
      if (entry.isDirectory()) await walk(path)
    }
  }
  await walk('')
  return found
}

/**
 * Those of `paths` that the source of a COPY means, with all below them; `*` and `?` stand for anything but a slash. Errors:
 * `ConfigError` (a source outside, or with `**`).
 */
export function matchSource(paths: readonly string[], source: string): string[] {
  const path = posix.normalize(source.replace(/^\/+/, '')).replace(/\/$/, '')
  if (path === '..' || path.startsWith('../') || source.includes('**')) {
    throw new ConfigError(`COPY ${source}: a source is a path below the Dockerfile's folder, without "**".`)
  }
  if (path === '.' || path === '') return [...paths]
  const pattern = new RegExp(`^${path.split('/').map(segmentPattern).join('/')}(/|$)`)
  return paths.filter((each) => pattern.test(each))
}

function segmentPattern(segment: string): string {
  return segment
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
}
