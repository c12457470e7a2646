/** Limits of the kernel that all sandboxes share with this machine. */
import type { Check } from '../../cli/actions.ts'
import type { Config } from '../config.ts'
import { readIfThere } from '../state-dir.ts'
import { check, type Finding, lookTimeoutMs } from './check.ts'
import { withRuntime } from './look.ts'
import { likeServer, readServerState } from './server-state.ts'

/** Below these a machine full of sandboxes meets them in everyday use. */
const fewInstances = 512
const fewWatches = 65_536
const fewTasks = 65_536
const fewConnections = 65_536
/** Part of the connection table in use from which on it may soon be full */
const conntrackHigh = 0.8

export function lookAtLimits(config: Config): Promise<Check>[] {
  // Not on this kernel where the engine has a virtual machine, and so not there to look at.
  if (process.platform !== 'linux') return []
  return [
    check('file watches', async () => inotify(await areCountedApart(config))),
    check('processes', async () => tasks()),
    check('connection table', async () => conntrack()),
  ]
}

/** Whether what the kernel counts by user is counted for each sandbox alone. */
async function areCountedApart(config: Config): Promise<boolean> {
  const state = readServerState(config.stateDir) ?? likeServer(config.stateDir, 'doctor')
  try {
    return await withRuntime(config, state, async ({ runtime }) => {
      const { isolation } = await runtime.fingerprint(AbortSignal.timeout(lookTimeoutMs))
      return isolation?.['user namespaces'] === true
    })
  } catch {
    // What is wrong with the runtime is another check's to say.
    return false
  }
}

/** One instance for each sandbox that watches; without user name spaces root in sandboxes counts as root of this machine. */
function inotify(isApart: boolean): Finding {
  const instances = sysctl('fs/inotify/max_user_instances')
  const watches = sysctl('fs/inotify/max_user_watches')
  if (isApart) {
    return {
      detail: `each sandbox has ${instances} watchers of its own, for ${watches} directories together`,
    }
  }
  const detail = `${instances} sandboxes can watch directories at once, ${watches} directories together`
  if (instances >= fewInstances && watches >= fewWatches) return { detail }
  const remedy =
    'Raise them: "sysctl -w fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=1048576", and in /etc/sysctl.d.'
  return { detail, state: 'warn', remedy }
}

function tasks(): Finding {
  const most = Math.min(sysctl('kernel/pid_max'), sysctl('kernel/threads-max'))
  const detail = `${most} processes and threads for the whole machine`
  if (most >= fewTasks) return { detail }
  const remedy =
    'Raise it, as sandboxes have shares of it: "sysctl -w kernel.pid_max=4194304", and in /etc/sysctl.d.'
  return { detail, state: 'warn', remedy }
}

function conntrack(): Finding {
  const most = sysctl('net/netfilter/nf_conntrack_max')
  if (Number.isNaN(most)) return { detail: 'none yet: the engine makes it with the first sandbox' }
  const used = sysctl('net/netfilter/nf_conntrack_count')
  const detail = `${used} of ${most} connections are in use`
  if (most >= fewConnections && used < most * conntrackHigh) return { detail }
  const remedy = 'Raise it: "sysctl -w net.netfilter.nf_conntrack_max=262144", and in /etc/sysctl.d.'
  return { detail, state: 'warn', remedy }
}

/** NaN where the kernel has no such limit. */
function sysctl(name: string): number {
  return Number(readIfThere(`/proc/sys/${name}`) ?? Number.NaN)
}
