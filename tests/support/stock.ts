/** Stock templates as tests need them: built once on a machine, by the real command and server. */
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const program = join(import.meta.dirname, '../../scripts/e2b-server.mjs')
/** Held while that one is built: whoever waits for it finds what was built meanwhile. */
const lockFileOf = (name: string) => join(tmpdir(), `e2b-server-test-stock-${name}.lock`)
const logMaxBytes = 64 * 2 ** 20

/**
 * Has a server build a stock template, if its engine doesn't have it. Its builds have to reach package registries
 * (registries.ts): what they have of that is a part of the image's name. Errors: with the build's log.
 */
export async function buildStock({ stateDir }: { stateDir: string }, name: string): Promise<void> {
  const command = [process.execPath, program, 'templates', 'build', name, '--state-dir', stateDir]
  await promisify(execFile)('flock', [lockFileOf(name), ...command], { maxBuffer: logMaxBytes }).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => {
      throw new Error(`The stock template ${name} is not built.\n${stdout.slice(-20_000)}\n${stderr}`)
    },
  )
}
