/** Images that servers have left with the engine. */
import type { Check } from '../../cli/actions.ts'
import type { Config } from '../config.ts'
import { check, type Finding, lookTimeoutMs } from './check.ts'
import { withRuntime } from './look.ts'
import { likeServer, readServerState } from './server-state.ts'

/** Servers that are named, those with the most images first. */
const shownMax = 3

/** A server whose state directory is gone leaves them, and nobody but its operator knows that it won't come back. */
export function lookAtImages(config: Config): Promise<Check> {
  return check('images of others', () => images(config))
}

async function images(config: Config): Promise<Finding> {
  const state = readServerState(config.stateDir) ?? likeServer(config.stateDir, 'doctor')
  return withRuntime(config, state, async ({ runtime }) => {
    const others = await runtime.images.others(AbortSignal.timeout(lookTimeoutMs))
    if (others.size === 0) return { detail: 'none of other servers' }
    const most = [...others].sort(([, one], [, other]) => other.length - one.length).slice(0, shownMax)
    const list = most.map(([server, made]) => `${made.length} of ${server}`).join(', ')
    const more = others.size > shownMax ? ` and those of ${others.size - shownMax} more` : ''
    const remedy = 'docker image prune -a --filter label=e2b-server.instance=<id>'
    return { detail: `${list}${more}; where such a server is gone, "${remedy}" removes them` }
  })
}
