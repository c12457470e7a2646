import { setMaxListeners } from 'node:events'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import type { Envd } from '../envd/envd.ts'
import { recordRunning } from '../envd/process/record-running.ts'
import type { TargetLog } from '../envd/target.ts'
import { dial } from '../guest/dial.ts'
import type { Guest } from '../guest/guest.ts'

export interface LiveEntry {
  sandbox: LiveSandbox
  /** Cuts every connection. */
  end(): void
}

/** A running sandbox as the edge sees it: envd answered here, every other port dialled through the agent. */
export function createLiveSandbox(
  sandbox: Sandbox,
  { guest, envd, log, fresh }: { guest: Guest; envd: Envd; log?: TargetLog; fresh: boolean },
): LiveEntry {
  const gone = new AbortController()
  // One listener per open connection, as many as there are.
  setMaxListeners(0, gone.signal)
  const target = {
    guest,
    sandboxId: sandbox.id,
    accessToken: sandbox.envdAccessToken,
    envVars: sandbox.envVars,
    gone: gone.signal,
    ...(log && { log }),
  }
  // In one that has just been started nothing runs.
  if (log !== undefined && !fresh) void recordRunning(target, log)
  return {
    sandbox: {
      id: sandbox.id,
      accessToken: sandbox.envdAccessToken,
      ingress: {
        trafficAccessToken: sandbox.trafficAccessToken,
        maskRequestHost: sandbox.network?.maskRequestHost ?? null,
        httpsPorts: sandbox.network?.httpsPorts ?? [],
      },
      gone: gone.signal,
      envd: (req, res) => envd.handle(target, req, res),
      dial: (port, signal) => dial(guest, { port }, signal),
    },
    end: () => gone.abort(),
  }
}
