import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'

/**
 * Removes a directory with all that is in it, also where somebody hostile could write: links aren't followed, and
 * directories nested deeper than the longest path, where `fs.rm` gives up, are left to `rm`, which walks by
 * descriptors. Idempotent. Rejects with the first error when neither succeeds, or when the signal ends `rm`.
 */
export async function removeTree(path: string, signal: AbortSignal): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    const child = spawn('rm', ['-rf', '--', path], { stdio: 'ignore', signal })
    const [code] = await once(child, 'close', { signal })
    if (code !== 0) throw error
  }
}
