/**
 * Runs jobs up to `lanes` of them at a time: a lane that is free takes the first one that may begin, so what takes longest
 * should come first. A job may begin when what it needs is there and those before it that `after` names have ended, and not
 * beside another of the same `aloneWith`: no lane waits for any of it while there is something else to do.
 *
 * @template {{ name: string, aloneWith?: string, after?: readonly string[] }} Job
 * @template Result
 * @param {readonly Job[]} jobs what `after` names comes before, or isn't among them
 * @param {{ lanes: number, run: (job: Job) => Promise<Result>, whenReady?: (job: Job) => Promise<void> }} options
 *   `whenReady`: resolves when what the job needs is there, and never rejects
 * @returns {Promise<Result[]>} in the order of `jobs`; rejects when one does, after the others that were under way
 */
export function runSideBySide(jobs, { lanes, run, whenReady }) {
  const results = new Array(jobs.length)
  const waiting = new Set(jobs)
  const unready = new Set(whenReady === undefined ? [] : jobs)
  const running = new Set()
  let rejected

  const isAhead = (job) => (other) =>
    job.after?.includes(other.name) === true && jobs.indexOf(other) < jobs.indexOf(job)
  const isBeside = (job) => (other) => job.aloneWith !== undefined && other.aloneWith === job.aloneWith
  const mayBegin = (job) =>
    !unready.has(job) && ![...waiting, ...running].some(isAhead(job)) && ![...running].some(isBeside(job))

  return new Promise((resolve, reject) => {
    const begin = async (job) => {
      waiting.delete(job)
      running.add(job)
      try {
        results[jobs.indexOf(job)] = await run(job)
      } catch (error) {
        rejected ??= { error }
        waiting.clear()
      }
      running.delete(job)
      goOn()
    }
    const goOn = () => {
      for (const job of waiting) if (running.size < lanes && mayBegin(job)) void begin(job)
      if (running.size + waiting.size > 0) return
      if (rejected === undefined) resolve(results)
      else reject(rejected.error)
    }
    for (const job of unready)
      void whenReady(job).then(() => {
        unready.delete(job)
        goOn()
      })
    goOn()
  })
}
