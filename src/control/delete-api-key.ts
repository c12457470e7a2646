import type { Store } from '../domain/store.ts'
import { type ApiKeyRef, findApiKey } from './find-api-key.ts'

/** Deletes a key for good: the next request with it is refused. Errors: `not_found`. */
export async function deleteApiKey(ctx: { store: Pick<Store, 'apiKeys'> }, ref: ApiKeyRef): Promise<void> {
  await findApiKey(ctx, ref)
  await ctx.store.apiKeys.remove(ref.id)
}
