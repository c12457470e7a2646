import { ServerError } from '../../domain/error.ts'
import type { GuestStats } from '../../domain/runtime.ts'
import { type Engine, statusOf, withSignal } from './engine.ts'

const nanosPerMicro = 1000

/** One look at what a container uses. Errors: `not_found` also for one that has ended. */
export function containerStats(engine: Engine, container: string, signal: AbortSignal): Promise<GuestStats> {
  return engine.call(signal, async (docker, both) => {
    const gone = (cause?: unknown) => new ServerError('not_found', 'The sandbox is not running.', { cause })
    const options = { stream: false, 'one-shot': true } as const
    try {
      const stats = await docker.getContainer(container).stats(withSignal(options, both))
      const { memory_stats: memory, cpu_stats: cpu, pids_stats: pids } = stats
      if (memory?.usage === undefined || pids?.current === undefined) throw gone()
      // Page cache that the kernel would give back at once is no use of the sandbox's. cgroup v1 has the first name.
      const { total_inactive_file, inactive_file } = memory.stats as { [name: string]: number | undefined }
      return {
        memoryBytes: Math.max(0, memory.usage - (total_inactive_file ?? inactive_file ?? 0)),
        cpuMicros: Math.round(cpu.cpu_usage.total_usage / nanosPerMicro),
        pids: pids.current,
      }
    } catch (error) {
      if (statusOf(error) === 404) throw gone(error)
      throw error
    }
  })
}
