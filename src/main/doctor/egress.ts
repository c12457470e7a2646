/** The line about what keeps sandboxes out of networks. */
import { silentLog } from '../../lib/log.ts'
import { lookAtRules } from '../../runtimes/docker/look-at-rules.ts'
import type { Config } from '../config.ts'
import { type Finding, lookTimeoutMs, Trouble } from './check.ts'
import type { Running } from './running.ts'
import { readServerState } from './server-state.ts'

/** What is said where no sandbox can be started without changing what servers have. */
export const notTried: Finding = {
  detail: 'not tried: the image of template "base" is taken in with the first sandbox of a server',
  state: 'warn',
  remedy: 'Start a sandbox, then run "doctor" again.',
}

/** What came of closing a sandbox. */
export type Closing = 'closed' | 'still open' | 'no such power' | 'not tried' | Error

/** What a running server's rules lack, and what is to be said of them otherwise. */
export interface RunningRules {
  lacking: string[]
  said: string
}

/** Of a server that runs. Errors: those of `lookAtRules`. */
export async function runningRules(
  { stateDir, dockerHost }: Config,
  runtime: string,
  running: Running | undefined,
): Promise<RunningRules | undefined> {
  const instanceId = readServerState(stateDir)?.instanceId
  if (running === undefined || instanceId === undefined || runtime === 'process') return undefined
  if (runtime === 'native' || runtime === 'gvisor')
    return { lacking: [], said: 'the server’s helper looks after its own' }
  const looking = { dockerHost, instanceId, log: silentLog }
  const { hasNetwork, lacking } = await lookAtRules(looking, AbortSignal.timeout(lookTimeoutMs))
  return {
    lacking,
    said: hasNetwork ? 'the server’s are complete' : 'the server’s come with its first sandbox',
  }
}

/** `closing` is of the sandbox that was just tried, whose rules are made as those of any other are. */
export function egressFinding(
  { openEgress }: Pick<Config, 'openEgress'>,
  closing: Closing,
  rules: RunningRules | undefined,
): Finding {
  const install = 'Install the package nftables, and run the server as root on the machine of the engine.'
  if (closing instanceof Error) throw new Trouble(`A sandbox can't be closed: ${closing.message}`, install)
  if (closing === 'still open') {
    throw new Trouble(
      'A sandbox that was closed still reaches its engine.',
      'Leave allow_internet_access out.',
    )
  }
  if (closing === 'not tried') return notTried
  if (closing === 'no such power') {
    const remedy = 'Use the Docker runtime for code that you do not trust.'
    return { state: 'warn', detail: 'none: sandboxes have the network of this machine', remedy }
  }
  if (openEgress) {
    const remedy = 'Leave --open-egress out, and open ranges with --egress-allow.'
    return {
      state: 'warn',
      detail: 'single sandboxes can be closed, all others reach what this machine does',
      remedy,
    }
  }
  if (rules !== undefined && rules.lacking.length > 0) {
    throw new Trouble(
      `The running server's rules lack ${rules.lacking.join(', ')}.`,
      'It makes them again within half a minute. If not, its log has the cause; look for programs that flush nftables.',
    )
  }
  const running = rules === undefined ? '' : `; ${rules.said}`
  return { detail: `sandboxes are kept out of inner networks, and single ones can be closed${running}` }
}
