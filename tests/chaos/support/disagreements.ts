import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type Docker from 'dockerode'
import type { Store } from '../../../src/domain/store.ts'

/** What doesn't agree among a server's store, its Docker engine and its directory, in sentences. */
export async function disagreements({
  store,
  docker,
  stateDir,
}: {
  store: Store
  docker: Docker
  stateDir: string
}): Promise<string[]> {
  const rows = await store.sandboxes.list({})
  const filters = { label: [`e2b-server.instance=${store.instanceId}`] }
  const containers = await docker.listContainers({ all: true, filters })
  const images = (await docker.listImages({ filters })).flatMap(({ RepoTags }) => RepoTags ?? [])
  const builds = await store.builds.list({})
  const layers = await store.layers.list({})
  const runDir = join(stateDir, 'run')
  const runDirs = existsSync(runDir) ? readdirSync(runDir) : []
  const state = new Map(containers.map(({ Labels, State }) => [Labels['e2b-server.sandbox'], State]))
  const used = new Set([...builds, ...layers, ...rows].map(({ image }) => image))
  return [
    ...rows
      .filter((row) => row.state !== 'running' && row.state !== 'paused')
      .map((row) => `${row.id} is still ${row.state}`),
    ...rows.flatMap((row) => {
      const wanted = row.state === 'running' ? 'running' : row.pausedWithMemory ? 'paused' : 'exited'
      const found = state.get(row.id)
      return found === wanted ? [] : [`${row.id} is ${row.state}, its container ${found}`]
    }),
    ...[...state.keys()].filter((id) => !rows.some((row) => row.id === id)).map((id) => `container of ${id}`),
    ...(runDirs.length === rows.length
      ? []
      : [`run directories: ${runDirs.length} for ${rows.length} sandboxes`]),
    ...builds.filter(({ status }) => status === 'building').map(({ id }) => `build ${id} is incomplete`),
    ...layers.filter(({ image }) => !images.includes(image)).map(({ key }) => `layer ${key} has no image`),
    ...images.filter((image) => !used.has(image)).map((image) => `image ${image}`),
  ]
}
