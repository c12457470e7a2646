import type { Store } from '../domain/store.ts'
import { type ApiKeyRef, findApiKey } from './find-api-key.ts'

/** Errors: `not_found`. */
export async function renameApiKey(
  ctx: { store: Pick<Store, 'apiKeys'> },
  ref: ApiKeyRef,
  name: string,
): Promise<void> {
  await findApiKey(ctx, ref)
  await ctx.store.apiKeys.rename(ref.id, name)
}
