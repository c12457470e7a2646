import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { requireRoot } from './faults.ts'
import { runProgram } from './run-program.ts'

/** Lets `write` make something at a path on a new file system, mounted at `path`, that has no room for any file. */
export async function onFullDisk(path: string, write: (path: string) => Promise<void>): Promise<void> {
  requireRoot('snapshotDiskFull')
  await mkdir(path)
  // The one inode is the root's.
  await runProgram('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=1,mode=0700', 'e2b-process', path])
  try {
    await write(join(path, 'copy'))
  } finally {
    await runProgram('umount', ['-l', path])
  }
}
