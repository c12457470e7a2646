import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'

/**
 * The distribution's Chromium, in which tests open sandboxes, and certutil, which makes it trust their certificates.
 *
 * @returns {import('./run-steps.mjs').Step}
 */
export function chromiumStep() {
  return {
    name: 'Chromium',
    isDone: async () => findProgram('chromium') !== undefined && findProgram('certutil') !== undefined,
    run: (progress) =>
      installPackages(['chromium', 'libnss3-tools'], { missing: 'Chromium is missing', progress }),
  }
}
