/** The runtime that the model's servers have: of plain processes, or, for `E2B_MODEL_RUNTIME=native`, with a helper of its own. */
import type { GuestHandle, Runtime } from '../../src/domain/runtime.ts'
import { silentLog } from '../../src/lib/log.ts'
import * as native from '../../src/runtimes/native/runtime.fixture.ts'
import { createProcessRuntime } from '../../src/runtimes/process/runtime.ts'
import { agentBinary } from '../support/agent.ts'
import { askHelper } from '../support/helper.ts'

export interface ModelRuntimes {
  /** What `base` is made of */
  readonly image: string
  /** As each server has one of its own, over the same guests */
  create(): Runtime
  /** Ends the processes of a guest behind everybody's back. Rejects where it has none. */
  end(handle: GuestHandle): Promise<void>
  /** Removes all that the servers have left. */
  dispose(): Promise<void>
}

export async function openRuntimes(instanceId: string): Promise<ModelRuntimes> {
  const name = process.env.E2B_MODEL_RUNTIME ?? 'process'
  if (name === 'native') return openNative()
  if (name !== 'process') throw new Error(`E2B_MODEL_RUNTIME=${name}: the model runs on process or native.`)
  const create = () =>
    createProcessRuntime({
      ...{ guestBinary: agentBinary, instanceId },
      ...{ acknowledgeNoIsolation: true, log: silentLog },
    })
  return {
    image: 'none',
    create,
    end: async ({ state }) => void process.kill(Number(state.pid), 'SIGKILL'),
    async dispose() {
      const runtime = create()
      const signal = AbortSignal.timeout(60_000)
      for (const handle of await runtime.list(signal)) await runtime.destroy(handle, signal)
      for (const image of await runtime.images.list(signal)) await runtime.images.remove(image, signal)
      await runtime.close()
    },
  }
}

async function openNative(): Promise<ModelRuntimes> {
  const { root, create, dispose } = await native.server()
  return {
    image: native.image,
    create,
    async end({ sandboxId }) {
      const { pid } = await askHelper(root, 'find', { sandbox: sandboxId })
      process.kill(Number(pid), 'SIGKILL')
    },
    dispose,
  }
}
