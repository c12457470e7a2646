/** Sandboxes of the benchmark, through the SDK that E2B publishes: what it takes is a part of what users wait for. */
import type { Sandbox } from 'e2b'

/** How long one lives that is left behind by a benchmark that was killed, in milliseconds. */
const lifetimeMs = 900_000
/** How long a request may take: a hundred at once wait for each other. */
const requestMs = 120_000
/** How many are killed at once in the end. */
const killsAtOnce = 16

export interface Connection {
  /** Base URL of the API */
  url: string
  /** Base URL for what is asked of sandboxes; undefined: they have names of their own below the API's domain */
  sandboxUrl: string | undefined
  apiKey: string
}

export interface Sandboxes {
  create(template?: string): Promise<Sandbox>
  kill(sandbox: Sandbox): Promise<void>
  snapshot(sandbox: Sandbox): Promise<string>
  removeSnapshot(snapshot: string): Promise<void>
  /** A copy of its files in a sandbox of its own. */
  fork(sandbox: Sandbox): Promise<Sandbox>
  /** Kills what was made and is still there, and removes snapshots. Errors: the first one, after all were tried. */
  close(): Promise<void>
}

/** `runId` is in the metadata of each. */
export async function openSandboxes(
  { url, sandboxUrl, apiKey }: Connection,
  runId: string,
): Promise<Sandboxes> {
  const { Sandbox } = await import('e2b')
  const connection = {
    apiKey,
    apiUrl: url,
    ...(sandboxUrl !== undefined && { sandboxUrl }),
    requestTimeoutMs: requestMs,
  }
  const made = new Set<Sandbox>()
  const snapshots = new Set<string>()
  /** Creates that are under way: their sandbox is ours, also when nobody waits for it any more. */
  const starting = new Set<Promise<Sandbox>>()

  async function keep(sandbox: Promise<Sandbox>): Promise<Sandbox> {
    starting.add(sandbox)
    try {
      const there = await sandbox
      made.add(there)
      return there
    } finally {
      starting.delete(sandbox)
    }
  }
  const options = { ...connection, timeoutMs: lifetimeMs, metadata: { bench: runId } }
  const sandboxes: Sandboxes = {
    create: (template) =>
      keep(template === undefined ? Sandbox.create(options) : Sandbox.create(template, options)),
    async kill(sandbox) {
      await sandbox.kill()
      made.delete(sandbox)
    },
    async snapshot(sandbox) {
      const { snapshotId } = await sandbox.createSnapshot()
      snapshots.add(snapshotId)
      return snapshotId
    },
    async removeSnapshot(snapshot) {
      await Sandbox.deleteSnapshot(snapshot, connection)
      snapshots.delete(snapshot)
    },
    fork: (sandbox) =>
      keep(
        sandbox.fork({ count: 1, timeoutMs: lifetimeMs }).then(([copy]) => {
          if (copy === undefined || copy instanceof Error) throw copy ?? new Error('no fork was answered')
          return copy
        }),
      ),
    async close() {
      await Promise.allSettled([...starting])
      const errors: unknown[] = []
      const left = [...made]
      const killSome = async () => {
        for (let one = left.pop(); one !== undefined; one = left.pop()) {
          await sandboxes.kill(one).catch((error: unknown) => errors.push(error))
        }
      }
      await Promise.all(Array.from({ length: killsAtOnce }, killSome))
      for (const snapshot of [...snapshots]) {
        await sandboxes.removeSnapshot(snapshot).catch((error: unknown) => errors.push(error))
      }
      if (errors.length > 0) throw errors[0]
    },
  }
  return sandboxes
}
