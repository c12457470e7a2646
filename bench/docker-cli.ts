/** The baselines: what the same machine's Docker costs by its own client. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The image that template `base` starts from. */
export const baseImage = readFileSync(join(import.meta.dirname, '../build/base-image'), 'utf8').trim()

export async function docker(...args: string[]): Promise<string> {
  const { stdout } = await run('docker', args, { maxBuffer: 64 * 1024 * 1024 })
  return stdout.trim()
}

/** A container with the limits that a sandbox has. */
export function dockerRun(): Promise<string> {
  return docker('run', '-d', '--cpus=2', '--memory=512m', '--pids-limit=4096', baseImage, 'sleep', 'infinity')
}

export async function dockerRemove(ids: string[]): Promise<void> {
  if (ids.length > 0) await docker('rm', '-f', ...ids)
}
