import { compareVersions } from './compare-versions.mjs'
import { SetupError } from './setup-error.mjs'

const oldest = '20.19'

/**
 * A Node.js that can run the server. The setup can't replace the program that it runs in, so it only says so.
 *
 * @param {{ version?: string }} [options]
 * @returns {import('./run-steps.mjs').Step}
 */
export function nodeVersionStep({ version = process.versions.node } = {}) {
  return {
    name: `Node.js ${oldest} or newer`,
    isDone: async () => compareVersions(version, oldest) >= 0,
    run: async () => {
      throw new SetupError(`This is Node.js ${version}; e2b-server needs ${oldest} or newer.`, {
        advice: 'Install a newer one (https://nodejs.org/en/download), then run this command again.',
      })
    },
  }
}
