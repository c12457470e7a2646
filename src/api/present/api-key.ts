import { apiKeyDigits, maskedParts } from '../../auth/api-key.ts'
import type { ApiKey } from '../../domain/team.ts'
import type { ApiKeyBody, CreatedApiKeyBody } from '../../wire/team.ts'

/** A key, masked. */
export function presentApiKey(key: ApiKey): ApiKeyBody {
  const { prefix, first, last } = maskedParts(key.mask)
  return {
    id: key.id,
    name: key.name,
    mask: { prefix, valueLength: apiKeyDigits, maskedValuePrefix: first, maskedValueSuffix: last },
    createdAt: new Date(key.createdAt).toISOString(),
    createdBy: null,
    lastUsed: key.lastUsedAt === null ? null : new Date(key.lastUsedAt).toISOString(),
  }
}

/** A key that was just made: the one time that it is shown. */
export function presentCreatedApiKey({ key, row }: { key: string; row: ApiKey }): CreatedApiKeyBody {
  return { ...presentApiKey(row), key }
}
