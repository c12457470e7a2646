/** The opaque continuation token of sandbox lists: base64url of `<start>__<id>`, start in Unix milliseconds. */
import { ServerError } from '../domain/error.ts'

export interface ListPosition {
  startedAt: number
  id: string
}

export function encodeListToken({ startedAt, id }: ListPosition): string {
  return Buffer.from(`${startedAt}__${id}`).toString('base64url')
}

/** Errors: `invalid_argument`. */
export function decodeListToken(token: string): ListPosition {
  const match = /^(\d{1,16}(?:\.\d{1,9})?)__([a-z0-9_-]{1,64})$/.exec(
    Buffer.from(token, 'base64url').toString(),
  )
  if (match === null) {
    throw new ServerError(
      'invalid_argument',
      "'nextToken' is not one this server gave out; start again without it.",
    )
  }
  return { startedAt: Number(match[1]), id: match[2]! }
}
