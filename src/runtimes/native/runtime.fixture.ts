/** Servers of their own with the real helper. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { baseImageName } from '../../../images/base/build.mjs'
import { agentBinary } from '../../../tests/support/agent.ts'
import { askHelper, helloOf } from '../../../tests/support/helper.ts'
import type { LayerHost } from '../../domain/layers.ts'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { createEngineImages } from '../../images/engine-images.ts'
import { createImageStore } from '../../images/store.ts'
import { sleep } from '../../lib/deadline.ts'
import { newId } from '../../lib/ids.ts'
import { silentLog } from '../../lib/log.ts'
import { wholeOf } from '../host/answers.ts'
import type { HostRuntimeOptions } from '../host/runtime.ts'
import { createNativeRuntime } from './runtime.ts'

const patience = () => AbortSignal.timeout(30_000)
export const image = await baseImageName()
const build = fileURLToPath(new URL('../../../build', import.meta.url))
/** Layers that servers of the tests share, so that the base image is unpacked once */
const shared = join(build, 'native-images')

/** What one server has: a state directory and an id. `dispose` removes all it made. `make`: a runtime of the helper's. */
export async function server(
  options: Partial<HostRuntimeOptions> = {},
  { make = createNativeRuntime, runsc }: { make?: typeof createNativeRuntime; runsc?: string } = {},
) {
  const instance = newId().slice(0, 12)
  const stateDir = await mkdtemp(join(tmpdir(), 'e2b-native-'))
  const root = join(stateDir, 'native')
  const program = {
    ...{ file: join(build, 'e2b-host'), agent: agentBinary },
    ...{ instance, logFile: join(stateDir, 'host.log'), shared },
    ...(runsc !== undefined && { runsc }),
  }
  const imagesOf = (layers: LayerHost) =>
    createImageStore({
      ...{ layers, folder: join(stateDir, 'records'), shared: join(shared, 'records'), log: silentLog },
      provided: {
        image,
        async open(signal) {
          const archive = await createEngineImages('/var/run/docker.sock').open(image, signal)
          return archive && { archive }
        },
      },
    })
  const created: Runtime[] = []
  const create = (more: Partial<HostRuntimeOptions> = {}) => {
    const runtime = make({
      ...{ root, program, path: process.env.PATH ?? '' },
      images: imagesOf,
      egress: { open: false, allow: [] },
      log: silentLog,
      ...options,
      ...more,
    })
    created.push(runtime)
    return runtime
  }
  const find = ({ sandboxId }: GuestHandle) => askHelper(root, 'find', { sandbox: sandboxId })
  /** Ends a guest's first process, and with it all others, behind the helper's back. */
  const kill = async (handle: GuestHandle) => {
    process.kill(wholeOf(await find(handle), 'pid'), 'SIGKILL')
    while (!['stopped', 'gone'].includes(String((await find(handle)).state))) await sleep(10)
  }
  const dispose = async () => {
    const runtime = create()
    for (const handle of await runtime.list(patience())) await runtime.destroy(handle, patience())
    for (const name of await runtime.images.list(patience())) await runtime.images.remove(name, patience())
    const { pid } = await helloOf(root)
    // The helper ends with the last who could need it, or a while later where it has seen another's connection still.
    for (const each of created) await each.close()
    const late = patience()
    while (existsSync(`/proc/${pid}`)) await sleep(10, late)
    await rm(stateDir, { recursive: true })
  }
  return { instance, stateDir, root, create, kill, dispose }
}
