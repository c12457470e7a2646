import { ServerError } from '../../domain/error.ts'
import type { GuestStats } from '../../domain/runtime.ts'
import type { ProcessId } from './handle.ts'
import { guestProcesses, isAlive, residentBytes } from './proc-table.ts'

/** What the agent and its guest's processes use together. Errors: `not_found`. */
export async function guestStats(agent: ProcessId, home: string): Promise<GuestStats> {
  if (!(await isAlive(agent))) throw new ServerError('not_found', 'The sandbox is not running.')
  const members = await guestProcesses(agent, home)
  const memory = await Promise.all(members.map(({ pid }) => residentBytes(pid)))
  return {
    memoryBytes: memory.reduce((sum, bytes) => sum + bytes, 0),
    cpuMicros: members.reduce((sum, { cpuMicros }) => sum + cpuMicros, 0),
    pids: members.length,
  }
}
