/** Sandboxes with a kernel of their own, gVisor's, which needs no virtual machine. All else they have as native ones do. */
import type { Runtime } from '../../domain/runtime.ts'
import { createHostRuntime, type HostRuntimeOptions } from '../host/runtime.ts'
import { tcpAgents } from './agents.ts'

const runtimeName = 'gvisor'

/** Touches nothing until it is used. `program.runsc` has to be there where the helper is started here. */
export function createGvisorRuntime(options: HostRuntimeOptions): Runtime {
  return createHostRuntime(
    {
      name: runtimeName,
      asks: { isolation: 'gvisor' },
      needs: ['gvisor'],
      detail: "Sandboxes have a kernel of their own, gVisor's.",
      isolation: { 'kernel of its own': true },
      agents: tcpAgents,
    },
    options,
  )
}
