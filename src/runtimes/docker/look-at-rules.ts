import type { Log } from '../../lib/log.ts'
import { lackingChains } from '../../network/nft.ts'
import { boundsFor, instanceRules } from '../../network/rules.ts'
import { instanceLabel } from './container.ts'
import { createEngine } from './engine.ts'
import { tableName } from './firewall.ts'
import { enginePath } from './socket-path.ts'
import { agentPort } from './tcp-transport.ts'

/**
 * For who looks at a server from outside: whether it has a network of sandboxes now, and which chains of that one's rules the
 * kernel lacks. Errors: as `Engine.call`, `failed_precondition` (no nft, or not for this user).
 */
export async function lookAtRules(
  options: { dockerHost?: string | undefined; instanceId: string; log: Log },
  signal: AbortSignal,
): Promise<{ hasNetwork: boolean; lacking: string[] }> {
  const engine = createEngine({ socketPath: enginePath(options.dockerHost), log: options.log })
  try {
    const filters = { label: [`${instanceLabel}=${options.instanceId}`] }
    const networks = await engine.call(signal, (docker, both) =>
      docker.listNetworks({ filters, abortSignal: both }),
    )
    if (networks.length === 0) return { hasNetwork: false, lacking: [] }
    const table = tableName(options.instanceId)
    // Whatever they are for, they are as many.
    const any = {
      bridge: 'any',
      subnet: '0.0.0.0/0',
      resolvers: [],
      allow: [],
      agentPort,
      bounds: boundsFor(0),
    }
    return { hasNetwork: true, lacking: await lackingChains(table, instanceRules({ table, ...any }), signal) }
  } finally {
    engine.close()
  }
}
