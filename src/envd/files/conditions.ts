/** Conditional and range requests (RFC 9110, 13 and 14), as far as files need them. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Entry } from '../../guest/entry.ts'
import { etag, lastModified } from './content-headers.ts'

export type Selection =
  | { status: 200 | 304 | 412 | 416 }
  /** `start` in bytes; `length` at least 1 */
  | { status: 206; start: number; length: number }

const conditionalHeaders = [
  'range',
  'if-match',
  'if-unmodified-since',
  'if-none-match',
  'if-modified-since',
] as const

/** Whether the answer may depend on what `select` says. */
export function isConditional(headers: IncomingHttpHeaders): boolean {
  return conditionalHeaders.some((name) => headers[name] !== undefined)
}

/** Which part of a file a request wants. Several ranges, and malformed ones, mean the whole. */
export function select(headers: IncomingHttpHeaders, entry: Entry): Selection {
  if (isOther(headers, entry)) return { status: 412 }
  if (isUnmodified(headers, entry)) return { status: 304 }
  if (headers.range === undefined || !isRangeCurrent(headers['if-range'], entry)) return { status: 200 }
  return parseRange(headers.range, entry.size)
}

/** Whether the request is for another state of the file than this. */
function isOther(headers: IncomingHttpHeaders, entry: Entry): boolean {
  const wanted = headers['if-match']
  if (wanted !== undefined) {
    const tags = wanted.split(',').map((tag) => tag.trim())
    return !tags.includes('*') && !tags.includes(etag(entry))
  }
  const since = Date.parse(headers['if-unmodified-since'] ?? '')
  return !Number.isNaN(since) && wholeSeconds(entry) > since
}

function isUnmodified(headers: IncomingHttpHeaders, entry: Entry): boolean {
  const known = headers['if-none-match']
  if (known !== undefined) {
    const tags = known.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
    return tags.includes('*') || tags.includes(etag(entry))
  }
  const since = Date.parse(headers['if-modified-since'] ?? '')
  return !Number.isNaN(since) && wholeSeconds(entry) <= since
}

/** When the file was changed as far as HTTP dates tell, in Unix milliseconds. */
function wholeSeconds({ modifiedMs }: Entry): number {
  return Math.floor(modifiedMs / 1000) * 1000
}

function isRangeCurrent(condition: string | string[] | undefined, entry: Entry): boolean {
  if (condition === undefined) return true
  return condition === etag(entry) || condition === lastModified(entry)
}

function parseRange(header: string, size: number): Selection {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.replace(/\s/g, '')) ?? []
  if (first === '' && last === '') return { status: 200 }
  if (first !== '' && last !== '' && Number(last) < Number(first)) return { status: 200 }
  const start = first === '' ? Math.max(size - Number(last), 0) : Number(first)
  const end = first === '' || last === '' ? size : Math.min(Number(last) + 1, size)
  return start < end ? { status: 206, start, length: end - start } : { status: 416 }
}
