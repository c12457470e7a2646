import { type FileHandle, open } from 'node:fs/promises'
import { type Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { ServerError } from '../domain/error.ts'
import { startPatience } from '../lib/patience.ts'

/** How long a client may send nothing, in ms; it is looked for that often. */
const defaultStallMs = 60_000

/**
 * Writes a body of exactly `sizeBytes` bytes to a new file, as fast as the disk takes it, and to the disk itself. When this
 * fails the body isn't destroyed, as its connection is needed for the answer, and what there is of the file is the caller's to
 * remove. Errors: `invalid_argument` (shorter or longer), `deadline_exceeded` (nothing comes), `canceled` (the client left).
 */
export async function writeBody(
  path: string,
  body: Readable,
  sizeBytes: number,
  signal: AbortSignal,
  { stallMs = defaultStallMs } = {},
): Promise<void> {
  signal.throwIfAborted()
  const file = await open(path, 'wx', 0o600)
  try {
    await pipeInto(file, body, sizeBytes, { stallMs, signal })
    await file.sync()
  } finally {
    await file.close()
  }
}

async function pipeInto(
  file: FileHandle,
  body: Readable,
  sizeBytes: number,
  { stallMs, signal }: { stallMs: number; signal: AbortSignal },
): Promise<void> {
  let written = 0
  const sink = new Writable({
    write(bytes: Buffer, _encoding, done) {
      if (written + bytes.length > sizeBytes) return done(wrongLength(sizeBytes))
      written += bytes.length
      writeWhole(file, bytes).then(() => done(), done)
    },
    final: (done) => done(written === sizeBytes ? null : wrongLength(sizeBytes)),
  })
  const fail = (error: unknown) => sink.destroy(error instanceof Error ? error : new Error(String(error)))
  const onAbort = () => fail(signal.reason)
  const onClose = () => {
    if (!body.readableEnded) fail(new ServerError('canceled', 'The client left in the middle of the upload.'))
  }
  const stopWatching = watchForStall(stallMs, () => written, fail)
  signal.addEventListener('abort', onAbort, { once: true })
  body.once('close', onClose)
  try {
    if (body.destroyed) onClose()
    body.pipe(sink)
    await finished(sink)
  } finally {
    stopWatching()
    body.unpipe(sink)
    body.off('close', onClose)
    signal.removeEventListener('abort', onAbort)
  }
}

async function writeWhole(file: FileHandle, bytes: Buffer): Promise<void> {
  let offset = 0
  while (offset < bytes.length) offset += (await file.write(bytes, offset)).bytesWritten
}

/** Calls `fail` when nothing has come for as long as a client may be silent. The result ends that. */
function watchForStall(stallMs: number, written: () => number, fail: (error: Error) => void): () => void {
  let seen = -1
  const look = () => {
    if (written() === seen) {
      return fail(new ServerError('deadline_exceeded', `The upload stood still for ${stallMs / 1000} s.`))
    }
    seen = written()
    patience = startPatience(stallMs, look)
  }
  let patience = startPatience(stallMs, look)
  return () => patience.stop()
}

function wrongLength(sizeBytes: number): ServerError {
  return new ServerError(
    'invalid_argument',
    `The body does not have the ${sizeBytes} bytes that it was said to have.`,
  )
}
