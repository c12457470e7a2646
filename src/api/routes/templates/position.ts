import { decodeListToken } from '../../../wire/list-token.ts'

/** Where a page goes on. Errors: `invalid_argument`. */
export function positionOf({ nextToken }: { nextToken?: string }): {
  after?: { createdAt: number; id: string }
} {
  if (nextToken === undefined) return {}
  const { startedAt, id } = decodeListToken(nextToken)
  return { after: { createdAt: startedAt, id } }
}
