import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'

/** The last release of the first generation that is published, and what npm's registry says of its archive. */
const release = '@e2b/cli@1.9.2'
const sha512 = 'zL0i6/CMBxB9w5Iswim+Nbs+Mu7K8eTrE5FZ7eqYSl+XnXXZ3KOiVce6RNTDFUO7xxdrq5UPYr+u/sBsnhgp3A=='
const timeoutMs = 5 * 60_000

/**
 * E2B's command line of the first generation, for tests: unpacked, not installed, because its program has all of its
 * packages in it.
 *
 * @param {{ folder: string }} options `folder`: where the package goes
 * @returns {import('./run-steps.mjs').Step}
 */
export function olderCliStep({ folder }) {
  return {
    name: 'older E2B CLI',
    isDone: async () => existsSync(join(folder, 'dist', 'index.js')),
    run: async (progress) => {
      const work = join(dirname(folder), `.older-cli-${process.pid}`)
      mkdirSync(work, { recursive: true })
      try {
        progress(`downloading ${release}`)
        const advice = 'Check that npm reaches its registry, then run this command again.'
        await runCommand('npm', ['pack', release, '--silent'], { cwd: work, timeoutMs, advice, progress })
        const [archive] = readdirSync(work)
        if (
          createHash('sha512')
            .update(readFileSync(join(work, archive)))
            .digest('base64') !== sha512
        ) {
          throw new SetupError(`The archive of ${release} is not the one that was published.`, { advice })
        }
        await runCommand('tar', ['-xzf', archive], { cwd: work, timeoutMs, progress })
        rmSync(folder, { recursive: true, force: true })
        renameSync(join(work, 'package'), folder)
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}
