import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { availableParallelism, release, totalmem } from 'node:os'
import type { Fingerprint } from '../../domain/runtime.ts'

/** Never throws. */
export async function fingerprintProcess(guestBinary: string): Promise<Fingerprint> {
  const machine = {
    versions: { kernel: release() },
    cpuCount: availableParallelism(),
    memoryMb: Math.floor(totalmem() / 2 ** 20),
  }
  if (process.platform !== 'linux') {
    return { ...machine, usable: false, detail: 'The process runtime needs Linux. Use Docker.' }
  }
  try {
    await access(guestBinary, constants.R_OK | constants.X_OK)
  } catch {
    const detail = 'The guest agent is missing or not executable. Build it with scripts/setup.'
    return { ...machine, usable: false, detail }
  }
  const detail = 'For development only: sandboxes are processes of this machine, without isolation or limits.'
  return { ...machine, usable: true, detail }
}
