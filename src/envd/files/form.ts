/** Reads multipart/form-data as it comes, one file after the other. */
import type { Readable } from 'node:stream'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { ServerError } from '../../domain/error.ts'

export interface FormFile {
  /** As sent, with its directories */
  filename: string | undefined
  bytes: Readable
}

/** The most files that one form may have. */
const formMaxFiles = 10_000

/** The most parts, those included that are skipped. */
const formMaxParts = 2 * formMaxFiles

/** The field that holds files; all others are skipped (e2b-wire 3.5). */
const fileField = 'file'

/**
 * Calls `onFile` for each file of the form, one at a time and in order, and waits for it: it reads the file to its
 * end. Nothing is kept but what one read of `body` gives. Errors: `invalid_argument` (no form, or a broken one); what
 * `onFile` and `body` throw. After an error the rest of `body` is unread.
 */
export async function readForm(
  body: Readable,
  contentType: string,
  onFile: (file: FormFile) => Promise<void>,
): Promise<void> {
  const form = createForm(contentType)
  const files = new Set<Readable>()
  let handling = Promise.resolve()

  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => {
      body.unpipe(form)
      for (const file of files) file.destroy(error)
      reject(error)
    }
    form.on('file', (field, bytes, filename) => {
      // The parser reports a form that breaks off to the file it is at, which must not go unheard.
      bytes.on('error', fail)
      if (field !== fileField) return bytes.resume()
      files.add(bytes)
      handling = handling.then(() => onFile({ filename, bytes })).then(() => void files.delete(bytes))
      handling.catch(fail)
    })
    form.on('filesLimit', () => fail(invalid(`The form has more than ${formMaxFiles} files.`)))
    form.on('partsLimit', () => fail(invalid(`The form has more than ${formMaxParts} fields.`)))
    form.on('error', (error) => fail(invalid('The body is not valid multipart/form-data.', error)))
    form.on('finish', () => void handling.then(resolve, reject))
    body.on('error', fail)
    body.pipe(form)
  })
}

function createForm(contentType: string): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      // The file name is the path to write to.
      preservePath: true,
      // As files, fields are skipped without being kept.
      isPartAFile: () => true,
      limits: { files: formMaxFiles, parts: formMaxParts },
    })
  } catch (thrown) {
    throw invalid('The Content-Type has no usable boundary.', thrown)
  }
}

function invalid(message: string, cause?: unknown): ServerError {
  return new ServerError('invalid_argument', message, { cause })
}
