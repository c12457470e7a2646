import { ServerError } from '../../domain/error.ts'
import type { StockRecipe } from '../../domain/stock-recipe.ts'
import type { TemplateBuild } from '../../domain/template-build.ts'

/** When those who ask for a template that is being built may ask again, in seconds. */
const buildingRetryAfterS = 10

export interface StockProgress {
  /** As in `TemplateBuild.reason`; null: it hasn't begun */
  step: string | null
  /** Null: that isn't known yet */
  stepCount: number | null
  /** The template that it is made of, while that is built */
  waitsFor: string | null
}

/** How far a build is, in words. */
export function describeProgress({ step, stepCount, waitsFor }: StockProgress): string {
  if (waitsFor !== null) return `"${waitsFor}", which it is made of, comes first`
  if (stepCount === null) return 'it begins'
  if (step === null || step === 'base') return `step 0 of ${stepCount}`
  return step === 'finalize' ? `its ${stepCount} steps are done, it is tried` : `step ${step} of ${stepCount}`
}

/** Why no sandbox can be made of a stock template now. */
export function unreadyError(
  { name }: StockRecipe,
  {
    failed,
    progress,
    retryMs,
  }: { failed: TemplateBuild | undefined; progress: StockProgress | undefined; retryMs: number },
): ServerError {
  if (progress !== undefined) {
    return new ServerError(
      'unavailable',
      `Template "${name}" is being built on this server: ${describeProgress(progress)}. Ask again in a while; ` +
        '"npx e2b-server templates list" says how far it is.',
      { retryAfterS: buildingRetryAfterS },
    )
  }
  if (failed === undefined) {
    return new ServerError(
      'not_found',
      `Template "${name}" does not exist yet: this server's operator builds it with "npx e2b-server templates build ${name}".`,
    )
  }
  return new ServerError(
    'failed_precondition',
    `Template "${name}" could not be built on this server: ${failed.reason?.message ?? 'no reason is known'} ` +
      `"npx e2b-server templates log ${name}" shows all of it, "templates build ${name}" builds it again; ` +
      `asking for it does so ${retryMs / 60_000} minutes after it failed.`,
  )
}
