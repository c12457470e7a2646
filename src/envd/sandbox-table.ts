/**
 * The sandboxes that take traffic in this process: what it was told of them, each with the envd that serves it. Keeps
 * nothing that a restart would miss, as whoever told it tells the next one the same.
 */
import type { DirectoryEntry, TrafficCarrier } from '../domain/data-plane.ts'
import type { SandboxDirectory } from '../domain/live-sandbox.ts'
import type { SandboxLogEntry } from '../domain/sandbox-log.ts'
import { createAgentDialer } from '../guest/agent-dialer.ts'
import { createSemaphore } from '../lib/semaphore.ts'
import type { Envd } from './envd.ts'
import { createLiveSandbox, type LiveEntry } from './live-sandbox.ts'
import { createProcessRecorder } from './process/process-recorder.ts'
import { recordOn } from './process/record-on.ts'
import type { TargetLog } from './target.ts'

/** Processes of one sandbox without a client that are followed at once, for its log. */
const followersMax = 16

export interface SandboxTableParts {
  envd: Envd
  /** Where what processes do is written down: takes an entry in at once, never fails; absent: nowhere */
  writeLog?: ((sandboxId: string, entry: SandboxLogEntry) => void) | undefined
}

export interface SandboxTable extends TrafficCarrier, SandboxDirectory {
  admit(entry: DirectoryEntry, options: { fresh: boolean }): void
  /** Records on what those processes print that another one recorded, which is gone. */
  record(sandboxId: string, pids: readonly number[]): void
}

export function createSandboxTable({ envd, writeLog }: SandboxTableParts): SandboxTable {
  const live = new Map<string, LiveEntry & { release(): void }>()

  const logOf = (sandboxId: string): { log?: TargetLog } =>
    writeLog === undefined
      ? {}
      : { log: { followers: createSemaphore(followersMax), write: (entry) => writeLog(sandboxId, entry) } }

  const add = (entry: DirectoryEntry, fresh: boolean) => {
    const { connect, release } = createAgentDialer(entry.id, entry.agent)
    const made = createLiveSandbox(entry, { guest: { connect }, envd, fresh, ...logOf(entry.id) })
    live.set(entry.id, { ...made, release })
  }

  return {
    find: (id) => live.get(id)?.sandbox,
    *all() {
      for (const { sandbox } of live.values()) yield sandbox
    },
    admit(entry, { fresh }) {
      if (!live.has(entry.id)) add(entry, fresh)
    },
    async withdraw(id) {
      const entry = live.get(id)
      if (entry === undefined) return
      // First unknown, then cut: a client whose stream breaks asks at once whether the sandbox still runs.
      live.delete(id)
      entry.end()
      entry.release()
    },
    record(id, pids) {
      const target = live.get(id)?.target
      if (target?.log === undefined) return
      for (const pid of pids) void recordOn(target, pid, createProcessRecorder(target.log.write))
    },
  }
}
