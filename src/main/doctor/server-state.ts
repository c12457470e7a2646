/** What the store says of a server, without changing it. */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { runtimesOfBuilds, runtimesOfSandboxes } from '../../store/runtime-queries.ts'
import type { ServerState } from '../runtimes.ts'
import { databasePath } from '../state-dir.ts'

/** Undefined where there is none yet. */
export function readServerState(stateDir: string): ServerState | undefined {
  const path = databasePath(stateDir)
  if (!existsSync(path)) return undefined
  const database = new Database(path, { readonly: true, timeout: 2000 })
  try {
    const namesOf = (query: string) => database.prepare(query).pluck().all() as string[]
    const [instanceId] = namesOf("select value from meta where key = 'instance_id'")
    if (instanceId === undefined) return undefined
    return {
      instanceId,
      runtimes: { sandboxes: namesOf(runtimesOfSandboxes), builds: namesOf(runtimesOfBuilds) },
    }
  } finally {
    database.close()
  }
}

/** Of a server with an id of its own that goes on with what this one's sandboxes are of, if there is one. */
export function likeServer(stateDir: string, instanceId: string): ServerState {
  const none = { sandboxes: [], builds: [] }
  return { instanceId, runtimes: readServerState(stateDir)?.runtimes ?? none }
}
