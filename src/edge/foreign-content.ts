import type { HttpResponse } from '../domain/http.ts'

/**
 * Keeps what a sandbox has written from acting under the name that is answered for: no script of it runs, no type is
 * guessed, and no service worker comes of it. Envd sends what a browser would run as an attachment where it meets this.
 */
export function disarm(res: HttpResponse): void {
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.setHeader('Content-Security-Policy', 'sandbox')
}
