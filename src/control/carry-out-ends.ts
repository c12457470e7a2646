import { forEachLimit } from '../lib/for-each-limit.ts'
import type { ControlContext } from './context.ts'

/** How many are carried out at a time. */
const atOnce = 8

/**
 * Carries out at once what is left to do of a template's sandboxes whose end is answered, which hold its images until then.
 * What fails is left to reconciliation.
 */
export async function carryOutEnds(
  { store, lifecycle }: Pick<ControlContext, 'store' | 'lifecycle'>,
  templateId: string,
  signal: AbortSignal,
): Promise<void> {
  const ended = await store.sandboxes.list({ templateId, states: ['killing'] })
  await forEachLimit(ended, atOnce, (row) => lifecycle.carryOut(row, signal)).catch(() => {})
}
