import { paths } from './paths.mjs'
import { createReport } from './report.mjs'
import { runSteps } from './run-steps.mjs'
import { SetupError } from './setup-error.mjs'
import { stepsFor } from './steps.mjs'

/**
 * Prepares this machine for a purpose. What can't be done is explained on standard error and ends the process with
 * exit code 1.
 *
 * @param {string} purpose one of `purposes` in steps.mjs
 * @param {{ onDone?: (step: string) => void, beforeExit?: () => Promise<void> }} [options] `onDone`: as of `runSteps`;
 *   `beforeExit`: what ends what has been begun meanwhile, where the process is to end
 */
export async function setUp(purpose, { onDone, beforeExit = async () => {} } = {}) {
  try {
    await runSteps(stepsFor(purpose), { lock: paths.lock, report: createReport(), onDone })
  } catch (error) {
    process.stderr.write(explain(error))
    await beforeExit()
    process.exit(1)
  }
}

/**
 * An error as people read it: the sentence, the last lines of output, what to do.
 *
 * @param {unknown} error
 */
export function explain(error) {
  if (!(error instanceof SetupError)) return `${error?.stack ?? error}\n`
  const output = error.output.map((line) => `  | ${line}\n`).join('')
  const advice = error.advice === undefined ? '' : `${error.advice}\n`
  return `${error.message}\n${output}${advice}`
}
