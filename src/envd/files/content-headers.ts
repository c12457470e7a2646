/** What a download's headers say about a file. */
import type { OutgoingHttpHeaders } from 'node:http'
import { posix } from 'node:path'
import type { HttpResponse } from '../../domain/http.ts'
import type { Entry } from '../../guest/entry.ts'

/** The headers of a file that hold whatever part of it is sent, and however. */
export function fileHeaders(entry: Entry, res: Pick<HttpResponse, 'hasHeader'>): OutgoingHttpHeaders {
  const type = contentType(entry.name)
  const shown = contentDisposition(entry.name)
  // Whoever answers under a name that isn't the sandbox's own has set a policy by now.
  const isSaved = res.hasHeader('content-security-policy') && !isPassive(type)
  return {
    'content-type': type,
    'content-disposition': isSaved ? shown.replace(/^inline/, 'attachment') : shown,
    vary: 'Accept-Encoding',
  }
}

/** Changes whenever the file does, as far as its size and time of change tell. */
export function etag(entry: Entry): string {
  return `"${entry.size.toString(16)}-${Math.round(entry.modifiedMs * 1000).toString(16)}"`
}

/** An HTTP date; undefined where the file's time has none. */
export function lastModified(entry: Entry): string | undefined {
  const date = new Date(entry.modifiedMs)
  const year = date.getUTCFullYear()
  return year >= 0 && year <= 9999 ? date.toUTCString() : undefined
}

/**
 * Shown rather than saved, under the file's own name: as a token where it is one, quoted where it is ASCII, else in
 * the extended form (RFC 6266).
 */
export function contentDisposition(name: string): string {
  if (/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return `inline; filename=${name}`
  if (/^[\x20-\x7e]*$/.test(name)) return `inline; filename="${name.replace(/["\\]/g, '\\$&')}"`
  const encoded = encodeURIComponent(Buffer.from(name).toString()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `inline; filename*=utf-8''${encoded}`
}

/** The types that a browser can show; everything else is bytes. */
const contentTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.csv': 'text/csv; charset=utf-8',
  '.gif': 'image/gif',
  '.htm': 'text/html; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.log': 'text/plain; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.mp3': 'audio/mpeg',
  '.mp4': 'video/mp4',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webm': 'video/webm',
  '.webp': 'image/webp',
  '.xml': 'text/xml; charset=utf-8',
}

/** Whether a browser only shows it. All else may act there: markup, scripts, styles, documents with scripts. */
function isPassive(type: string): boolean {
  if (type === 'image/svg+xml') return false
  return /^(image|audio|video)\/|^text\/(plain|csv|markdown)\b|^application\/(json|octet-stream)$/.test(type)
}

function contentType(name: string): string {
  return contentTypes[posix.extname(name).toLowerCase()] ?? 'application/octet-stream'
}
