import { toError } from '../../domain/error.ts'
import { sleep } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import { killGuest } from './agent-process.ts'
import { requestedFault } from './faults.ts'
import { findGuest } from './find-guest.ts'
import { freezeGuest, thawGuest } from './freeze.ts'
import type { GuestRecord } from './guest-dir.ts'
import type { ProcessParts } from './parts.ts'
import { isAlive } from './proc-table.ts'

/** Longest time for ending the processes of a guest, once that has begun, in milliseconds */
const stopMs = 10_000

/** As `Runtime.pause`. */
export async function pauseGuest(
  parts: ProcessParts,
  { sandboxId, memory }: { sandboxId: string; memory: boolean },
  signal: AbortSignal,
): Promise<{ memory: boolean }> {
  const { dirs, faults } = parts
  const { condition, record } = await findGuest(dirs, sandboxId)
  if (faults.pauseDelayMs) await sleep(faults.pauseDelayMs, signal)
  if (!memory || condition === 'stopped') {
    await stopGuest(parts, { sandboxId, record }, signal)
    return { memory: false }
  }
  const home = dirs.home(sandboxId)
  try {
    await freezeGuest(record, home, signal)
    if (faults.failPause) throw requestedFault('paused')
    return { memory: true }
  } catch (error) {
    if (toError(error).code === 'not_found') {
      await stopGuest(parts, { sandboxId, record }, signal)
      return { memory: false }
    }
    if (condition === 'alive') await thawGuest(record, home)
    throw error
  }
}

/**
 * Ends a guest's processes, whatever they do, and those of a boot that was not finished. Once it has begun, it doesn't
 * heed the signal any more. Idempotent.
 */
async function stopGuest(
  { dirs, guests, faults }: ProcessParts,
  { sandboxId, record }: { sandboxId: string; record: GuestRecord },
  signal: AbortSignal,
): Promise<void> {
  if (faults.failPause) throw requestedFault('paused')
  signal.throwIfAborted()
  // An unfinished boot stays one until its processes are gone.
  if (record.phase === 'live') await dirs.writeState(sandboxId, { ...record, phase: 'stopping' })
  guests.drop(sandboxId)
  try {
    await killGuest(record, dirs.home(sandboxId), patientSignal(stopMs))
  } catch (error) {
    if (await isAlive(record)) guests.add(sandboxId, record)
    throw error
  }
  if (record.phase !== 'stopped') await dirs.writeState(sandboxId, { ...record, phase: 'stopped' })
}
