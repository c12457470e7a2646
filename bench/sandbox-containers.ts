import { join } from 'node:path'
import { openSqliteStore } from '../src/store/dialects/sqlite.ts'
import type { TestServer } from '../tests/support/server.ts'
import { docker } from './docker-cli.ts'

/** Ids of the containers that a server's sandboxes are, newest first. */
export async function sandboxContainers({ stateDir }: TestServer): Promise<string[]> {
  const store = await openSqliteStore({ path: join(stateDir, 'e2b-server.db') })
  const label = `label=e2b-server.instance=${store.instanceId}`
  await store.close()
  return (await docker('ps', '-q', '--filter', label)).split('\n')
}
