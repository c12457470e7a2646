import { sleep } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import { awaitAgent, killGuest } from './agent-process.ts'
import { requestedFault } from './faults.ts'
import { findGuest } from './find-guest.ts'
import { freezeGuest, thawGuest } from './freeze.ts'
import type { GuestRecord } from './guest-dir.ts'
import type { ProcessGuest, ProcessId } from './handle.ts'
import { launchAgent } from './launch-agent.ts'
import type { ProcessParts } from './parts.ts'

/** Longest time for putting a guest back that could not be resumed, in milliseconds */
const undoMs = 10_000

/**
 * As `Runtime.resume`. A handle from before the last boot is one whose holder has not learned of it, as the server
 * crashed meanwhile: it is answered as the boot would have been.
 */
export async function resumeGuest(
  parts: ProcessParts,
  { sandboxId, pid, startTicks }: ProcessGuest,
  signal: AbortSignal,
): Promise<{ agent: ProcessId; booted: boolean }> {
  const { dirs, guests, faults } = parts
  const { condition, record } = await findGuest(dirs, sandboxId)
  if (condition !== 'alive' && faults.resumeDelayMs) await sleep(faults.resumeDelayMs, signal)
  if (condition === 'stopped') {
    return { agent: await boot(parts, { sandboxId, record }, signal), booted: true }
  }
  // A stop that a crash has interrupted is called off.
  if (record.phase !== 'live') await dirs.writeState(sandboxId, { ...record, phase: 'live' })
  if (condition === 'frozen') await thaw(parts, { sandboxId, record }, signal)
  guests.add(sandboxId, record)
  return { agent: record, booted: record.pid !== pid || record.startTicks !== startTicks }
}

interface Resumed {
  sandboxId: string
  record: GuestRecord
}

async function thaw({ dirs, faults }: ProcessParts, { sandboxId, record }: Resumed, signal: AbortSignal) {
  const home = dirs.home(sandboxId)
  signal.throwIfAborted()
  try {
    await thawGuest(record, home)
    await awaitAgent(dirs.agent(sandboxId), signal)
    if (faults.failResume) throw requestedFault('resumed')
  } catch (error) {
    await freezeGuest(record, home, patientSignal(undoMs))
    throw error
  }
}

async function boot(parts: ProcessParts, { sandboxId, record }: Resumed, signal: AbortSignal) {
  const { dirs, faults, log } = parts
  const home = dirs.home(sandboxId)
  // What an unfinished boot has left.
  await killGuest(record, home, signal)
  try {
    await dirs.writeState(sandboxId, { ...record, phase: 'booting' })
    const agent = await launchAgent(parts, { sandboxId, phase: 'booting' }, signal)
    if (faults.failResume) throw requestedFault('resumed')
    await dirs.writeState(sandboxId, { ...agent, phase: 'live' })
    parts.onStart(sandboxId, agent)
    return agent
  } catch (error) {
    const undo = async () => {
      await killGuest(await dirs.readState(sandboxId), home, patientSignal(undoMs))
      await dirs.writeState(sandboxId, { ...record, phase: 'stopped' })
    }
    // A guest that still boots counts as stopped.
    await undo().catch((remainder) =>
      log.warn({ err: remainder, sandboxId }, 'a failed boot is not undone yet'),
    )
    throw signal.aborted ? signal.reason : error
  }
}
