/**
 * Runs jobs in their order, up to `lanes` of them at a time: a lane that is free takes the first one that waits, so what
 * takes longest should come first.
 *
 * @template Job, Result
 * @param {readonly Job[]} jobs
 * @param {{ lanes: number, run: (job: Job) => Promise<Result> }} options
 * @returns {Promise<Result[]>} in the order of `jobs`; rejects when one does, after the others that were under way
 */
export async function runSideBySide(jobs, { lanes, run }) {
  const results = new Array(jobs.length)
  let next = 0
  let failed = false
  const lane = async () => {
    while (next < jobs.length && !failed) {
      const index = next++
      try {
        results[index] = await run(jobs[index])
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const outcomes = await Promise.allSettled(Array.from({ length: Math.min(lanes, jobs.length) }, lane))
  const rejected = outcomes.find(({ status }) => status === 'rejected')
  if (rejected !== undefined) throw rejected.reason
  return results
}
