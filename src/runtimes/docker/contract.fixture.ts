/** The contract's test on the real engine, for each way that there is to an agent: a file each, as they take long. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { baseImageName } from '../../../images/base/build.mjs'
import { runRuntimeSuite } from '../runtime.suite.ts'
import { container, server } from './runtime.fixture.ts'

export async function testContract(
  transport: 'unix' | 'tcp',
  { copiesImages }: { copiesImages: boolean },
): Promise<void> {
  const one = await server({ transport })
  afterAll(one.dispose)
  runRuntimeSuite({
    name: `docker, ${transport}`,
    create: one.create,
    image: await baseImageName(),
    hasEngine: true,
    copiesImages,
    kill: async (handle) => {
      await container(handle).kill()
      await container(handle).wait()
    },
    plantRemainder: async (sandboxId) => {
      await mkdir(join(one.stateDir, 'run', sandboxId), { recursive: true })
    },
  })
}
