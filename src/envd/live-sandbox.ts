import { setMaxListeners } from 'node:events'
import type { DirectoryEntry } from '../domain/data-plane.ts'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { dial } from '../guest/dial.ts'
import type { Guest } from '../guest/guest.ts'
import type { Envd } from './envd.ts'
import { recordRunning } from './process/record-running.ts'
import type { EnvdTarget, TargetLog } from './target.ts'

export interface LiveEntry {
  sandbox: LiveSandbox
  /** Of its envd */
  target: EnvdTarget
  /** Cuts every connection. */
  end(): void
}

/** A running sandbox as the edge sees it: envd answered here, every other port dialled through the agent. */
export function createLiveSandbox(
  { id, accessToken, envVars, ingress }: DirectoryEntry,
  { guest, envd, log, fresh }: { guest: Guest; envd: Envd; log?: TargetLog; fresh: boolean },
): LiveEntry {
  const gone = new AbortController()
  // One listener per open connection, as many as there are.
  setMaxListeners(0, gone.signal)
  const target = { guest, sandboxId: id, accessToken, envVars, gone: gone.signal, ...(log && { log }) }
  // In one that has just been started nothing runs.
  if (log !== undefined && !fresh) void recordRunning(target, log)
  return {
    target,
    sandbox: {
      id,
      accessToken,
      ingress,
      gone: gone.signal,
      envd: (req, res) => envd.handle(target, req, res),
      dial: (port, signal) => dial(guest, { port }, signal),
    },
    end: () => gone.abort(),
  }
}
