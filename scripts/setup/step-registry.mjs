import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { downloadPackages } from './apt.mjs'
import { SetupError } from './setup-error.mjs'
import { unpackDeb } from './unpack-deb.mjs'

/**
 * The distribution's image registry, which tests ask for images with and without credentials. It is unpacked and not
 * installed, because its package starts a service.
 *
 * @param {{ program: string }} options `program`: where it goes
 * @returns {import('./run-steps.mjs').Step}
 */
export function registryStep({ program }) {
  return {
    name: 'image registry',
    isDone: async () => existsSync(program),
    run: async (progress) => {
      const work = join(dirname(program), `.registry-${process.pid}`)
      mkdirSync(work, { recursive: true })
      try {
        await downloadPackages(['docker-registry'], { folder: work, progress })
        const [archive] = readdirSync(work).filter((name) => name.endsWith('.deb'))
        await unpackDeb(join(work, archive), join(work, 'root'), { progress })
        renameSync(join(work, 'root', 'usr', 'bin', 'docker-registry'), program)
      } catch (error) {
        throw new SetupError(`An image registry for tests could not be had: ${error.message}`, {
          advice: 'Check that apt reaches its mirror (`apt-get update`, `apt-get download docker-registry`).',
          output: error.output,
          cause: error,
        })
      } finally {
        rmSync(work, { recursive: true, force: true })
      }
    },
  }
}
