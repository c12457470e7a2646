/** Sandboxes of Linux name spaces without an engine. */
import type { Runtime } from '../../domain/runtime.ts'
import { unixAgents } from '../host/agents.ts'
import { createHostRuntime, type HostRuntimeOptions } from '../host/runtime.ts'

const runtimeName = 'native'

/** Touches nothing until it is used. */
export function createNativeRuntime(options: HostRuntimeOptions): Runtime {
  return createHostRuntime(
    {
      name: runtimeName,
      asks: {},
      needs: [],
      detail: 'Sandboxes are made of name spaces of this kernel, without an engine.',
      isolation: {},
      agents: unixAgents,
    },
    options,
  )
}
