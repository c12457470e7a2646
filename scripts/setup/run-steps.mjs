import { withLock } from './lock.mjs'
import { SetupError } from './setup-error.mjs'

/**
 * One thing that a prepared machine has.
 *
 * @typedef {object} Step
 * @property {string} name what it provides, as people see it
 * @property {() => Promise<boolean>} isDone whether it is there; cheap, changes nothing, starts no program
 * @property {(progress: import('./report.mjs').Progress) => Promise<void>} run provides it; throws a `SetupError`
 * @property {string} [lane] steps of different lanes that follow each other are done side by side; one without a lane
 *   waits for all before it, and all behind it wait for it
 */

/**
 * Does what is not done yet, in the steps' order but for their lanes; with nothing to do it takes no lock and prints nothing. Two setups
 * at once are one after the other, and the second finds its work done. Errors: `SetupError`, after what was under way beside it.
 *
 * @param {Step[]} steps
 * @param {{ lock: string, report: import('./report.mjs').Report, onDone?: (name: string) => void }} options `lock`: the
 *   lock's file; `onDone` is told of each step once it is known that it is done
 */
export async function runSteps(steps, { lock, report, onDone = () => {} }) {
  const done = await Promise.all(steps.map((step) => step.isDone()))
  if (done.every(Boolean)) {
    for (const { name } of steps) onDone(name)
    return
  }
  await withLock(
    lock,
    async () => {
      let next = steps
      while (next.length > 0) {
        const end = next.findIndex(({ lane }) => lane === undefined)
        const count = end === -1 ? next.length : Math.max(end, 1)
        await runSideBySide(next.slice(0, count), report, onDone)
        next = next.slice(count)
      }
    },
    { onWait: (pid) => report.note(`waiting for another setup (process ${pid || 'unknown'}) to finish`) },
  )
}

async function runSideBySide(steps, report, onDone) {
  const lanes = [...new Set(steps.map(({ lane }) => lane))]
  let hasFailed = false
  const outcomes = await Promise.allSettled(
    lanes.map(async (lane) => {
      for (const step of steps.filter((each) => each.lane === lane)) {
        if (hasFailed) continue
        if (!(await step.isDone()))
          await runStep(step, report).catch((error) => {
            hasFailed = true
            throw error
          })
        onDone(step.name)
      }
    }),
  )
  const rejected = outcomes.find(({ status }) => status === 'rejected')
  if (rejected !== undefined) throw rejected.reason
}

async function runStep(step, report) {
  const { progress, end, fail } = report.begin(step.name)
  try {
    await step.run(progress)
    if (!(await step.isDone())) {
      throw new SetupError(`${step.name}: everything was done, and yet it is not there.`, {
        advice: 'Run this command again with E2B_SETUP_VERBOSE=1 to see what each command says.',
      })
    }
  } catch (error) {
    fail()
    throw error
  }
  end()
}
