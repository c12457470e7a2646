import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { buildBaseImage } from '../../../images/base/build.mjs'
import { runRuntimeSuite } from '../runtime.suite.ts'
import { image, server } from './runtime.fixture.ts'

const one = await server()
beforeAll(async () => {
  await buildBaseImage({ log: () => {} })
  // Taken over from the engine, if no server of the tests has done that before.
  await one.create().images.inspect(image, AbortSignal.timeout(600_000))
}, 15 * 60_000)
afterAll(one.dispose)
runRuntimeSuite({
  name: 'gvisor',
  create: one.create,
  image,
  kill: one.kill,
  hasEngine: true,
  copiesImages: true,
  outOfMemory: 'guest',
  plantRemainder: async (sandboxId) => {
    await mkdir(join(one.root, 'guests', sandboxId), { recursive: true })
  },
})
