import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'

/**
 * What makes a btrfs in a file: a file system whose files can share their blocks, which the machine's own may not be able to.
 *
 * @returns {import('./run-steps.mjs').Step}
 */
export function btrfsStep() {
  return {
    name: 'btrfs',
    isDone: async () => findProgram('mkfs.btrfs') !== undefined,
    run: (progress) => installPackages(['btrfs-progs'], { missing: 'mkfs.btrfs is missing', progress }),
  }
}
