/** Starts the server of shared-server.ts before a suite's first file, and ends it after the last one. */
import type { TestProject } from 'vitest/node'
import { databasePath } from '../../src/main/state-dir.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { startTestServer } from './server.ts'

/** Resolves with what ends it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  // Fifty starts at once wait for each other, and for those of another suite beside this one.
  const server = await startTestServer({ flags: ['--start-wait', '120'], isShared: true })
  const { url, sandboxUrl, stateDir } = server
  const store = await openSqliteStore({ path: databasePath(stateDir) })
  project.provide('sharedServer', { url, sandboxUrl, stateDir, instanceId: store.instanceId })
  await store.close()
  return async () => await server[Symbol.asyncDispose]()
}
