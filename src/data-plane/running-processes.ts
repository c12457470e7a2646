import type { SandboxLogEntry } from '../domain/sandbox-log.ts'

/** Processes of one worker that are kept in mind, over all sandboxes. */
const pidsMax = 10_000

/** Which processes one worker records, as its log lines tell: those are to be recorded on when it has gone. */
export interface RunningProcesses {
  note(sandboxId: string, entry: SandboxLogEntry): void
  forget(sandboxId: string): void
  all(): Map<string, number[]>
}

export function createRunningProcesses(): RunningProcesses {
  const bySandbox = new Map<string, Set<number>>()
  let count = 0

  const remove = (sandboxId: string, pid: number) => {
    const pids = bySandbox.get(sandboxId)
    if (pids?.delete(pid)) count--
    if (pids?.size === 0) bySandbox.delete(sandboxId)
  }

  return {
    note(sandboxId, { message, fields }) {
      const pid = Number(fields.pid)
      if (fields.logger !== 'process' || !Number.isSafeInteger(pid) || pid < 1) return
      if (message === 'process ended') return remove(sandboxId, pid)
      if (message !== 'process started' || fields.stream !== undefined || count >= pidsMax) return
      const pids = bySandbox.get(sandboxId) ?? new Set()
      bySandbox.set(sandboxId, pids)
      if (pids.has(pid)) return
      pids.add(pid)
      count++
    },
    forget(sandboxId) {
      count -= bySandbox.get(sandboxId)?.size ?? 0
      bySandbox.delete(sandboxId)
    },
    all: () => new Map([...bySandbox].map(([id, pids]) => [id, [...pids]])),
  }
}
