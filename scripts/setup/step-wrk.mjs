import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'

/**
 * wrk, which makes the HTTP load of a benchmark.
 *
 * @returns {import('./run-steps.mjs').Step}
 */
export function wrkStep() {
  return {
    name: 'wrk',
    isDone: async () => findProgram('wrk') !== undefined,
    run: (progress) => installPackages(['wrk'], { missing: 'wrk is missing', progress }),
  }
}
