/**
 * Goes on recording a process whose client has left: what the agent kept of its output since, what comes, and how it
 * ends. Of one that the recorder doesn't know yet: what comes, as part of the output that is logged of it at all.
 * A process that goes on printing what isn't logged any more is only looked at from time to time, since whoever reads
 * its output sets its pace.
 */

import { attach } from '../../guest/attach.ts'
import { sleep } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import type { EnvdTarget } from '../target.ts'
import type { ProcessRecorder } from './process-recorder.ts'

/** Time between two looks at a process whose output isn't logged any more, in ms; its end is known for 30 s. */
const lookMs = 10_000
/** How long one look waits for an end that has been already, in ms. */
const glanceMs = 200

/** Never rejects; ends with the process, or when the sandbox goes. */
export async function recordOn(target: EnvdTarget, pid: number, recorder: ProcessRecorder): Promise<void> {
  try {
    const release = (await target.log?.followers.acquire(target.gone)) ?? (() => {})
    try {
      while (!recorder.isFull) if (await followUntilFull(target, pid, recorder)) return
    } finally {
      release()
    }
    for (;;) {
      await sleep(lookMs, target.gone)
      if (await glance(target, pid, recorder)) return
    }
  } catch {
    // The sandbox or the process is gone: there is nothing more to record.
  }
}

/** Whether it has ended. */
async function followUntilFull(target: EnvdTarget, pid: number, recorder: ProcessRecorder): Promise<boolean> {
  const { seenBytes: since } = recorder
  const from = since === undefined ? {} : { replay: true, since }
  const { events, replayFrom = 0 } = await attach(target.guest, { pid, ...from }, target.gone)
  if (since === undefined) recorder.found(pid, replayFrom)
  try {
    while (!recorder.isFull) {
      const { value: event } = await events.next()
      if (event === undefined) return true
      if (event.type !== 'end') {
        recorder.output(event.type, event.bytes)
        continue
      }
      recorder.ended(event.exit)
      return true
    }
    return false
  } finally {
    await events.return()
  }
}

/** Whether it has ended. */
async function glance(target: EnvdTarget, pid: number, recorder: ProcessRecorder): Promise<boolean> {
  const soon = patientSignal(glanceMs)
  const { events } = await attach(target.guest, { pid }, target.gone)
  soon.addEventListener('abort', () => void events.return(), { once: true })
  try {
    for (;;) {
      const { value: event } = await events.next()
      if (event === undefined) return false
      if (event.type !== 'end') continue
      recorder.ended(event.exit)
      return true
    }
  } catch (error) {
    if (soon.aborted) return false
    throw error
  } finally {
    await events.return()
  }
}
