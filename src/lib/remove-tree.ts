import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { opendir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Entries that are removed one by one; with more of them another process does it. */
const fewEntries = 16

/**
 * Removes a directory with all that is in it, also where somebody hostile could write. Links aren't followed. What is
 * more than a few files is left to `rm`: it walks by descriptors, however deep, and a tree of millions of files costs
 * this process neither memory nor time. Idempotent. Rejects with the signal's reason, or when `rm` can't do it.
 */
export async function removeTree(path: string, signal: AbortSignal): Promise<void> {
  try {
    if (await removeFew(path)) return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
  }
  const child = spawn('rm', ['-rf', '--', path], { stdio: 'ignore', signal })
  const [code] = await once(child, 'close', { signal })
  if (code !== 0) throw new Error(`${path} can't be removed (rm ended with ${code}).`)
}

/** Whether the directory held nothing but a few files, and is gone. */
async function removeFew(path: string): Promise<boolean> {
  const names: string[] = []
  for await (const entry of await opendir(path, { bufferSize: fewEntries })) {
    if (entry.isDirectory() || names.length === fewEntries) return false
    names.push(entry.name)
  }
  for (const name of names) await unlink(join(path, name))
  await rmdir(path)
  return true
}
