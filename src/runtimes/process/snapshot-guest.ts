import { sleep } from '../../lib/deadline.ts'
import { killGuest } from './agent-process.ts'
import { copyTree } from './copy-tree.ts'
import { requestedFault } from './faults.ts'
import { findGuest } from './find-guest.ts'
import { freezeGuest, thawGuest } from './freeze.ts'
import { onFullDisk } from './full-disk.ts'
import type { ProcessParts } from './parts.ts'

/** As `Runtime.snapshot`. */
export async function snapshotGuest(
  { dirs, images, copied, faults }: ProcessParts,
  { sandboxId, image }: { sandboxId: string; image: string },
  signal: AbortSignal,
): Promise<void> {
  const { condition, record } = await findGuest(dirs, sandboxId)
  const home = dirs.home(sandboxId)
  const copy = async (target: string) => {
    if (faults.snapshotDelayMs) await sleep(faults.snapshotDelayMs, signal)
    if (faults.snapshotDiskFull) await onFullDisk(target, (path) => copyTree(home, path, signal))
    else await copyTree(home, target, signal)
    if (faults.failSnapshot) throw requestedFault('copied')
  }
  const copyFrozen = async (target: string) => {
    try {
      await freezeGuest(record, home, signal)
      await copy(target)
    } finally {
      if (condition === 'alive') await thawGuest(record, home)
    }
  }
  await images.create(image, async (target) => {
    // An unfinished boot must not write meanwhile.
    if (condition === 'stopped') return killGuest(record, home, signal).then(() => copy(target))
    if (condition === 'frozen') return copyFrozen(target)
    copied.add(sandboxId)
    await copyFrozen(target).finally(() => copied.delete(sandboxId))
  })
}
