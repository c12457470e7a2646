/** What was built elsewhere from these sources, where `E2B_SERVER_PREBUILT` says that there is some; all else is built here. */

/**
 * @param {object} options
 * @param {import('./prebuilt.mjs').Prebuilt} options.prebuilt
 * @param {(import('./run-steps.mjs').Step & { takeReady: (prebuilt: import('./prebuilt.mjs').Prebuilt) => Promise<boolean> })[]}
 *   options.steps those whose results may be taken ready-made
 * @param {string | undefined} options.source
 * @returns {import('./run-steps.mjs').Step}
 */
export function prebuiltStep({ prebuilt, steps, source }) {
  let isTried = false
  return {
    name: 'ready-made files',
    isDone: async () =>
      !source || isTried || (await Promise.all(steps.map((step) => step.isDone()))).every(Boolean),
    run: async (progress) => {
      progress(`taking what ${source.replace(/#.*$/, '')} has`)
      for (const step of steps) if (!(await step.isDone())) await step.takeReady(prebuilt)
      isTried = true
    },
  }
}
