import { withLock } from './lock.mjs'
import { SetupError } from './setup-error.mjs'

/**
 * One thing that a prepared machine has.
 *
 * @typedef {object} Step
 * @property {string} name what it provides, as people see it
 * @property {() => Promise<boolean>} isDone whether it is there; cheap, changes nothing, starts no program
 * @property {(progress: import('./report.mjs').Progress) => Promise<void>} run provides it; throws a `SetupError`
 */

/**
 * Does what is not done yet, in the steps' order; with nothing to do it takes no lock and prints nothing. Two setups
 * at once are one after the other, and the second finds its work done. Errors: `SetupError`.
 *
 * @param {Step[]} steps
 * @param {{ lock: string, report: import('./report.mjs').Report }} options `lock`: the lock's file
 */
export async function runSteps(steps, { lock, report }) {
  const done = await Promise.all(steps.map((step) => step.isDone()))
  if (done.every(Boolean)) return
  await withLock(
    lock,
    async () => {
      for (const step of steps) {
        if (!(await step.isDone())) await runStep(step, report)
      }
    },
    { onWait: (pid) => report.note(`waiting for another setup (process ${pid || 'unknown'}) to finish`) },
  )
}

async function runStep(step, report) {
  report.begin(step.name)
  try {
    await step.run(report.progress)
    if (!(await step.isDone())) {
      throw new SetupError(`${step.name}: everything was done, and yet it is not there.`, {
        advice: 'Run this command again with E2B_SETUP_VERBOSE=1 to see what each command says.',
      })
    }
  } catch (error) {
    report.fail()
    throw error
  }
  report.end()
}
