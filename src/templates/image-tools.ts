/** What images get from us that have neither a program nor a package manager that could install it. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { exec } from '../guest/exec.ts'
import type { Guest } from '../guest/guest.ts'
import { unpack } from '../guest/unpack.ts'
import { write } from '../guest/write.ts'
import { barePrograms } from './bare-programs.ts'
import { bringScript, toolsFolder } from './bring-script.ts'
import { type CommandOptions, follow } from './run-command.ts'

/** Programs that need nothing but a kernel, in an archive. */
export interface ImageTools {
  /** Changes with their contents */
  version: string
  /** Of the archive, a tar with `bash` and `busybox` */
  file: string
}

const maxBytes = 64 * 2 ** 20
const maxEntries = 100

/** Undefined where there is no such archive. */
export async function openImageTools(file: string): Promise<ImageTools | undefined> {
  const hash = createHash('sha256').update(bringScript).update(JSON.stringify(barePrograms))
  try {
    for await (const piece of createReadStream(file)) hash.update(piece)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  return { version: hash.digest('hex').slice(0, 12), file }
}

/**
 * Gives an image a shell, bash, sudo, certificates and small programs, each only where it has none. Needs nothing of the
 * image. Certificates are those that this server itself trusts by default (Mozilla's). Errors: those of `unpack`, `write` and
 * `exec`; a script that fails says so in the log.
 */
export async function bringTools(
  guest: Guest,
  tools: ImageTools,
  { signal, onLine }: CommandOptions,
): Promise<void> {
  const archive = createReadStream(tools.file)
  try {
    const request = { src: '.', dest: `${toolsFolder}/`, user: 'root', maxBytes, maxEntries }
    await unpack(guest, request, archive, signal)
  } finally {
    archive.destroy()
  }
  const files = { ...barePrograms, 'ca-certificates.crt': `${rootCertificates.join('\n')}\n` }
  for (const [name, text] of Object.entries(files)) {
    await write(guest, { path: `${toolsFolder}/${name}`, user: 'root' }, pieces(text), signal)
  }
  const request = {
    cmd: `${toolsFolder}/busybox`,
    args: ['sh', '-c', bringScript],
    env: {},
    cwd: '/',
    user: 'root',
    stdin: false,
  }
  await follow(await exec(guest, request, signal), onLine)
}

/** As the agent takes them. */
async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}
