/**
 * One server for all files of a suite that don't stop, kill or configure theirs. Each file is a team of its own on it, so
 * that lists, counts and limits are the file's alone, and answers for what it leaves behind.
 */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, inject, vi } from 'vitest'
import { createApiKey } from '../../src/control/create-api-key.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { databasePath } from '../../src/main/state-dir.ts'
import { createTeam } from '../../src/main/teams.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { holdingsOf } from './holdings.ts'
import { isDebugMode, pointResolverAt, pointSdksAt } from './mode.ts'
import { startTestServer, type TestServer } from './server.ts'

export interface SharedServer extends AsyncDisposable, Pick<TestServer, 'url' | 'sandboxUrl' | 'stateDir'> {
  /** Of the file's own team */
  readonly apiKey: string
}

/** What shared-server-setup.ts provides. */
type Shared = Pick<TestServer, 'url' | 'sandboxUrl' | 'stateDir'>

declare module 'vitest' {
  export interface ProvidedContext {
    sharedServer: Shared
  }
}

/** How long what has been killed may take to go, in milliseconds. */
const goneTimeoutMs = 30_000

/**
 * A new team on the suite's server, to which this process's SDKs are pointed. Disposing removes what the team has left
 * and throws if that is anything: a test ends what it starts. In debug mode, where nothing ends the one sandbox there is,
 * it is a server of the file's own.
 */
export async function joinSharedServer(): Promise<SharedServer> {
  if (isDebugMode) return await startTestServer()
  const { url, sandboxUrl, stateDir } = inject('sharedServer')
  const { teamId, apiKey } = await makeTeam(stateDir)
  pointResolverAt({ isShared: true })
  pointSdksAt(url, apiKey)
  const ask = async (method: string, path: string, headers: Record<string, string>) => {
    const answer = await fetch(`${url}${path}`, { method, headers })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  const list = async (path: string) =>
    (await (await ask('GET', path, { 'x-api-key': apiKey })).json()) as Record<string, string>[]

  return {
    url,
    sandboxUrl,
    stateDir,
    apiKey,
    async [Symbol.asyncDispose]() {
      const sandboxes = await list('/v2/sandboxes?state=running,paused')
      const snapshots = await list('/snapshots')
      const adminToken = readFileSync(join(stateDir, 'admin-token'), 'utf8').trim()
      await ask('POST', `/admin/teams/${teamId}/sandboxes/kill`, { 'x-admin-token': adminToken })
      for (const { snapshotID } of snapshots)
        await ask('DELETE', `/templates/${encodeURIComponent(snapshotID!)}`, { 'x-api-key': apiKey })
      const holdings = await holdingsOf(stateDir)
      await vi.waitFor(async () => expect([...(await holdings.guests()).keys()]).toEqual([]), {
        timeout: goneTimeoutMs,
        interval: 100,
      })
      const left = [
        ...sandboxes.map(
          ({ sandboxID, metadata }) => `sandbox ${sandboxID} ${JSON.stringify(metadata ?? {})}`,
        ),
        ...snapshots.map(({ snapshotID }) => `snapshot ${snapshotID}`),
      ]
      if (left.length > 0) throw new Error(`this file has left something behind:\n${left.join('\n')}`)
    },
  }
}

/** A new team with a key of its own, of the server with that state directory. */
export async function makeTeam(stateDir: string): Promise<{ teamId: string; apiKey: string }> {
  const store = await openSqliteStore({ path: databasePath(stateDir) })
  try {
    const name = basename(expect.getState().testPath ?? 'file', '.test.ts')
    const { id: teamId } = await createTeam(store, `${name}-${Date.now()}`, name)
    const { key: apiKey } = await createApiKey({ store, clock: systemClock() }, { teamId, name })
    return { teamId, apiKey }
  } finally {
    await store.close()
  }
}
