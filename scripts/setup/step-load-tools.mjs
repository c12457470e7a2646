import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'

/**
 * What a benchmark makes HTTP load with, wrk for HTTP/1.1 and h2load for HTTP/2, and nginx to compare with.
 *
 * @returns {import('./run-steps.mjs').Step}
 */
export function loadToolsStep() {
  const packages = { wrk: 'wrk', h2load: 'nghttp2-client', nginx: 'nginx-light' }
  const missing = () => Object.keys(packages).filter((program) => findProgram(program) === undefined)
  return {
    name: 'load tools',
    isDone: async () => missing().length === 0,
    run: (progress) =>
      installPackages(
        missing().map((program) => packages[program]),
        { missing: 'What makes HTTP load is missing', progress },
      ),
  }
}
