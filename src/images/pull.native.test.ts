/** Images that the server pulls itself. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { testRegistries } from './registry.suite.ts'
import { imageServer } from './store.fixture.ts'

const folder = await mkdtemp(join(tmpdir(), 'e2b-pull-'))
const one = imageServer(folder)
afterAll(async () => {
  await one.close()
  await rm(folder, { recursive: true })
})

testRegistries(({ registries } = { registries: {} }) => {
  const images = one.store({ registries })
  return { images, close: () => images.close() }
})
