/** The edge's own answers for people: a page where a browser opens an address, JSON everywhere else. */
import type { IncomingHttpHeaders } from 'node:http'

export interface ErrorPage {
  /** Plain text, as all parts are */
  title: string
  text: string
}

/**
 * Whether a request is a browser's that shows its answer to somebody: by the name of the program, as E2B has it. Where a
 * browser says that a script asks (`Sec-Fetch-Mode`), the script gets what programs get.
 */
export function wantsPage(headers: IncomingHttpHeaders): boolean {
  const mode = headers['sec-fetch-mode']
  if (mode !== undefined) return mode === 'navigate'
  return /mozilla|chrome|safari|firefox|edge|opera|msie/i.test(headers['user-agent'] ?? '')
}

/** The page as HTML. It begins with `<html` and no doctype, because clients tell E2B's own pages by that. */
export function renderPage({ title, text }: ErrorPage, status: number): string {
  return `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title><style>${style}</style></head>
<body><main><h1>${escapeHtml(title)}</h1><p>${escapeHtml(text)}</p><p class="code">${status}</p></main></body></html>`
}

/** What keeps a page from being anything but text, whoever's domain it is shown under. */
export const pageHeaders = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
}

const style =
  'body{font:16px/1.5 system-ui,sans-serif;margin:20vh auto 0;max-width:34em;padding:0 1em}.code{color:#767676}'

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!)
}
