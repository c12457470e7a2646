import { list } from '../../guest/list.ts'
import type { EnvdTarget, TargetLog } from '../target.ts'
import { createProcessRecorder } from './process-recorder.ts'
import { recordOn } from './record-on.ts'

/**
 * Goes on recording what runs in a sandbox that takes traffic again, after a resume or a restart of the server; called
 * before any request. What requests start meanwhile, they record. Never rejects.
 */
export async function recordRunning(target: EnvdTarget, log: TargetLog): Promise<void> {
  const starts = new Set<Promise<{ pid: number }>>()
  log.starts = starts
  try {
    const running: number[] = []
    for await (const { pid } of await list(target.guest, target.gone)) running.push(pid)
    // A process is listed before its start is answered, or after.
    const started = await Promise.allSettled(starts)
    const own = new Set(started.map((start) => (start.status === 'fulfilled' ? start.value.pid : undefined)))
    for (const pid of running) {
      if (!own.has(pid)) void recordOn(target, pid, createProcessRecorder(log.write))
    }
  } catch {
    // The sandbox is gone, or runs more than can be listed: what they say isn't recorded.
  } finally {
    delete log.starts
  }
}
