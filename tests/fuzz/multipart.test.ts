/** Uploads as forms: whole ones come through exactly, broken ones end in a typed error. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ServerError } from '../../src/domain/error.ts'
import { readForm } from '../../src/envd/files/form.ts'
import { bytes, cuts, isText, type Mutation, mutate, mutation, split, within } from './support/bytes.ts'
import { fuzz } from './support/fuzz.ts'

const hangMs = 3000

interface Part {
  field: string
  filename: string
  content: Buffer
}

const part: fc.Arbitrary<Part> = fc.record({
  field: fc.constantFrom('file', 'file', 'file', 'other', ''),
  filename: fc.oneof(
    fc.constantFrom('a.txt', '/tmp/ü/b', '../../etc/passwd', 'a;b="c', ' ', '.', '~/x', 'C:\\x'),
    fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
  ),
  content: fc.oneof(
    bytes(3000),
    fc.constantFrom('\r\n--b', '\r\n--b--\r\n', '--', '').map((text) => Buffer.from(text)),
  ),
})

const form = fc.record({
  parts: fc.array(part, { maxLength: 5 }),
  boundary: fc.constantFrom('b', '----formdata-123', "'()+_,-./:=?", 'x'.repeat(70)),
  mutations: fc.oneof(fc.constant<Mutation[]>([]), fc.array(mutation, { minLength: 1, maxLength: 3 })),
  contentType: fc.option(fc.string({ maxLength: 30 }), { nil: null, freq: 10 }),
  cuts,
})

/** Names that a header can carry as they are; others would need an escape that browsers and SDKs disagree about. */
function isPlainName(name: string): boolean {
  return !/["\\\r\n\0;]/.test(name) && name.trim() === name && name !== '' && isText(name)
}

function bodyOf(parts: Part[], boundary: string): Buffer {
  const chunks = parts.flatMap(({ field, filename, content }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="${filename}"\r\n\r\n`,
    ),
    content,
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...chunks, Buffer.from(`--${boundary}--\r\n`)])
}

test('multipart', () =>
  fuzz({
    name: 'multipart',
    input: form,
    async check({ parts, boundary, mutations, contentType, cuts: places }) {
      const body = mutate(bodyOf(parts, boundary), mutations)
      const files: { filename: string | undefined; content: Buffer }[] = []
      let open = 0
      const reading = readForm(
        Readable.from(split(body, places).filter((piece) => piece.length > 0)),
        contentType ?? `multipart/form-data; boundary="${boundary}"`,
        async ({ filename, bytes: content }) => {
          expect(++open).toBe(1)
          files.push({ filename, content: await buffer(content) })
          open--
        },
      )
      const thrown = await within(hangMs, reading).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (thrown !== undefined) {
        expect(thrown).toBeInstanceOf(ServerError)
        expect((thrown as ServerError).code).toBe('invalid_argument')
      }
      expect(files.reduce((sum, { content }) => sum + content.length, 0)).toBeLessThanOrEqual(body.length)

      const isExact =
        mutations.length === 0 &&
        contentType === null &&
        parts.length > 0 &&
        parts.every(
          ({ filename, content }) => isPlainName(filename) && !content.includes(`\r\n--${boundary}`),
        )
      if (!isExact) return
      expect(thrown).toBeUndefined()
      expect(files).toEqual(
        parts.filter(({ field }) => field === 'file').map(({ filename, content }) => ({ filename, content })),
      )
    },
  }))
