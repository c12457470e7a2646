import type { IncomingHttpHeaders } from 'node:http'
import { ServerError } from '../../domain/error.ts'

const prefix = 'x-metadata-'
/** Longest key and longest sum of keys and values, in bytes: what file systems keep (e2b-wire 3.5). */
const keyMaxBytes = 246
const totalMaxBytes = 4096

/** The metadata of an upload: its `X-Metadata-<key>` headers, keys in lower case. Errors: `invalid_argument`. */
export function parseMetadata(headers: IncomingHttpHeaders): Record<string, string> {
  const metadata: Record<string, string> = {}
  let total = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(prefix) || typeof value !== 'string') continue
    const key = name.slice(prefix.length)
    if (key === '') throw invalid('A metadata header needs a key: X-Metadata-<key>.')
    if (key.length > keyMaxBytes) throw invalid(`A metadata key is longer than ${keyMaxBytes} bytes.`)
    if (!/^[\x20-\x7e]*$/.test(value)) throw invalid(`The metadata value of '${key}' is not printable ASCII.`)
    metadata[key] = value
    total += key.length + value.length
  }
  if (total > totalMaxBytes) throw invalid(`The metadata has ${total} bytes. The limit is ${totalMaxBytes}.`)
  return metadata
}

function invalid(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
