import type { BuildSpec } from '../domain/template-builder.ts'
import { beginBuild } from './base-phase.ts'
import type { BuildContext } from './build-context.ts'
import { finishBuild, type Outcome } from './final-phase.ts'
import { makeStep } from './step-phase.ts'

/** Makes a build from its first phase to its last, and says at each what it is at. Errors: those of the phases. */
export async function runBuild(
  context: BuildContext,
  spec: BuildSpec,
  /** As in `TemplateBuild.reason` */
  at: (step: string) => void,
): Promise<Outcome> {
  const { build, log, signal } = context
  at('base')
  log.write(`Building template ${build.templateId}/${build.id}`)
  let { state, isCached } = await beginBuild(context, spec)
  let force = spec.force
  const count = spec.steps.length
  for (const [index, step] of spec.steps.entries()) {
    signal.throwIfAborted()
    const number = index + 1
    at(String(number))
    force ||= step.force
    ;({ state, isCached } = await makeStep(context, step, { number, count, state, isCached, force }))
  }
  at('finalize')
  return finishBuild(context, spec, state, force)
}
