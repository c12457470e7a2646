/** The files of a COPY as an archive, the same bytes for the same files. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { ConfigError } from './config.ts'
import { listContext, matchSource } from './context-files.ts'

export interface PackedFiles {
  file: string
  sizeBytes: number
  /** 64 hex digits */
  hash: string
}

export interface PackOptions {
  /** As `chmod` takes it; absent: as the files have it */
  mode?: string
}

/** Writes what `source` means in the folder `context` to a tar archive. Errors: `ConfigError` where that is nothing. */
export async function packFiles(
  context: string,
  source: string,
  file: string,
  { mode }: PackOptions = {},
): Promise<PackedFiles> {
  const paths = matchSource(await listContext(context), source)
  if (paths.length === 0) throw new ConfigError(`COPY ${source}: there is no such file in ${context}.`)
  const modes = mode === undefined ? [] : [`--mode=${mode}`]
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  // Folders are named with all that is in them, so that what is left out stays out.
  const named = ['--no-recursion', '--null', '--verbatim-files-from', '--files-from=-']
  const tar = spawn('tar', [...same, ...modes, '-C', context, '-cf', file, ...named], {
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const said = text(tar.stderr)
  // A tar that stops reading says why on its own.
  tar.stdin.on('error', () => {})
  tar.stdin.end(paths.map((path) => `${path}\0`).join(''))
  const [code] = await once(tar, 'close')
  if (code !== 0) throw new ConfigError(`COPY ${source}: tar failed. ${(await said).trim()}`)
  const digest = createHash('sha256').update(`COPY ${source}\n`)
  await pipeline(createReadStream(file), digest)
  return { file, sizeBytes: (await stat(file)).size, hash: digest.digest('hex') }
}
