import type { Store } from '../../../src/domain/store.ts'
import { holdingsOf } from '../../support/holdings.ts'

/** What doesn't agree among a server's store, its engine or helper, and its directory, in sentences. */
export async function disagreements({
  store,
  stateDir,
  env = {},
}: {
  store: Store
  stateDir: string
  /** What the server was given beside the usual */
  env?: Record<string, string>
}): Promise<string[]> {
  const holdings = await holdingsOf(stateDir, env)
  const rows = await store.sandboxes.list({})
  const guests = await holdings.guests()
  const images = await holdings.images()
  const builds = await store.builds.list({})
  const layers = await store.layers.list({})
  const directories = holdings.directories()
  const used = new Set([...builds, ...layers, ...rows].map(({ image }) => image))
  return [
    ...rows
      .filter((row) => row.state !== 'running' && row.state !== 'paused')
      .map((row) => `${row.id} is still ${row.state}`),
    ...rows.flatMap((row) => {
      const wanted = row.state === 'running' ? 'running' : row.pausedWithMemory ? 'paused' : 'stopped'
      const found = guests.get(row.id)
      return found === wanted ? [] : [`${row.id} is ${row.state}, its guest ${found}`]
    }),
    ...[...guests.keys()].filter((id) => !rows.some((row) => row.id === id)).map((id) => `guest ${id}`),
    ...(directories.length === rows.length
      ? []
      : [`directories: ${directories.length} for ${rows.length} sandboxes`]),
    ...builds.filter(({ status }) => status === 'building').map(({ id }) => `build ${id} is incomplete`),
    ...layers.filter(({ image }) => !images.includes(image)).map(({ key }) => `layer ${key} has no image`),
    ...images.filter((image) => !used.has(image)).map((image) => `image ${image}`),
  ]
}
