/**
 * Gives the memory of frozen sandboxes back to the machine, by having the kernel swap it out: a frozen process touches
 * nothing, and what it needs comes back as it is touched. Only where there is swap, as there is no other place to put it,
 * and only on an engine of this machine. It is a favour: nothing waits for it and nothing fails with it.
 */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../../lib/log.ts'
import { createSemaphore } from '../../lib/semaphore.ts'
import { type Cgroup, cgroupOf } from './cgroup.ts'
import type { EngineHost } from './engine-host.ts'

/** Longest time for one sandbox, in milliseconds: some gigabytes to a slow disk */
const reclaimMs = 60_000
/** Sandboxes at once: more only share the disk */
const parallel = 1

export interface MemoryReclaim {
  /** Begins for a frozen guest. `pidOf` says which its first process is, 0 for none; it is asked only where that matters. */
  begin(sandboxId: string, pidOf: () => Promise<number>): void
  /** Ends it, as the guest is about to run again or to go. */
  end(sandboxId: string): void
  close(): void
}

export function createMemoryReclaim({
  engineHost,
  log,
}: {
  engineHost: EngineHost
  log: Log
}): MemoryReclaim {
  const running = new Map<string, AbortController>()
  const slots = createSemaphore(parallel)

  const reclaim = async (pidOf: () => Promise<number>, signal: AbortSignal) => {
    if (!(await hasSwap()) || !(await engineHost.isOurs(signal))) return
    const release = await slots.acquire(signal)
    try {
      const pid = await pidOf()
      signal.throwIfAborted()
      const cgroup = pid === 0 ? undefined : await cgroupOf('memory', pid)
      if (cgroup !== undefined) await reclaimMemory(cgroup, signal)
    } finally {
      release()
    }
  }

  return {
    begin(sandboxId, pidOf) {
      if (running.has(sandboxId)) return
      const ending = new AbortController()
      running.set(sandboxId, ending)
      void reclaim(pidOf, ending.signal)
        .catch((error) => {
          if (!ending.signal.aborted)
            log.debug({ err: error, sandboxId }, 'a frozen sandbox keeps its memory')
        })
        .finally(() => {
          if (running.get(sandboxId) === ending) running.delete(sandboxId)
        })
    },
    end(sandboxId) {
      running.get(sandboxId)?.abort()
      running.delete(sandboxId)
    },
    close() {
      for (const sandboxId of [...running.keys()]) this.end(sandboxId)
    },
  }
}

/** Has the kernel take what it can of a control group's memory. Rejects where it can't or when the signal aborts. */
export async function reclaimMemory({ version, directory }: Cgroup, signal: AbortSignal): Promise<void> {
  if (version === 1) return await writeApart('0', join(directory, 'memory.force_empty'), signal)
  const [usage, swapMax] = [join(directory, 'memory.current'), join(directory, 'memory.swap.max')]
  const bytes = (await readFile(usage, 'utf8')).trim()
  // A sandbox may not swap by itself (its limit is 0), so that its limit of memory is one.
  const before = (await readFile(swapMax, 'utf8')).trim()
  await writeFile(swapMax, bytes)
  try {
    await writeApart(bytes, join(directory, 'memory.reclaim'), signal)
  } finally {
    await writeFile(swapMax, before)
  }
}

async function hasSwap(): Promise<boolean> {
  return Number(/^SwapTotal:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1] ?? 0) > 0
}

/** Writes in another process: the write lasts as long as the work does, and only a process can be stopped at it. */
function writeApart(text: string, path: string, signal: AbortSignal): Promise<void> {
  const options = { timeout: reclaimMs, killSignal: 'SIGKILL', env: {}, signal } as const
  return new Promise((resolve, reject) => {
    const script = 'printf %s "$1" > "$2"'
    execFile('/bin/sh', ['-c', script, 'sh', text, path], options, (error) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}
