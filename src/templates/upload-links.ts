/** Links for uploads: unguessable, for one use, for a while. In memory alone: after a restart clients ask for new ones. */
import { createHash } from 'node:crypto'
import { newToken } from '../lib/ids.ts'

export interface UploadLink {
  teamId: string
  hash: string
}

export interface UploadLinks {
  /** The secret of a new link: 64 hex digits. */
  create(link: UploadLink): string
  /** What a secret stands for, which it does no more from now on; undefined: nothing. */
  take(secret: string): UploadLink | undefined
}

/** How long a link lives, in ms: clients ask for it right before they upload. */
const lifetimeMs = 3_600_000
/** Links of one team; further ones make its oldest void. */
const linksMax = 1_000

export function createUploadLinks(now: () => number): UploadLinks {
  /** By the secrets' hashes, so that looking one up tells nothing of it; oldest first */
  const byTeam = new Map<string, Map<string, UploadLink & { endsAt: number }>>()

  return {
    create(link) {
      const secret = newToken()
      const links = byTeam.get(link.teamId) ?? new Map()
      byTeam.set(link.teamId, links)
      const at = now()
      for (const [key, { endsAt }] of links) {
        if (endsAt > at && links.size < linksMax) break
        links.delete(key)
      }
      links.set(digest(secret), { ...link, endsAt: at + lifetimeMs })
      return secret
    },

    take(secret) {
      const key = digest(secret)
      for (const links of byTeam.values()) {
        const link = links.get(key)
        if (link === undefined) continue
        links.delete(key)
        const { endsAt, ...rest } = link
        return endsAt > now() ? rest : undefined
      }
      return undefined
    },
  }
}

function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
