/** A runtime that a diagnosis looks at, or tries: it changes nothing that a server has, whether one runs or not. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../lib/log.ts'
import type { Config } from '../config.ts'
import { type ChosenRuntime, chooseRuntime, type ServerState } from '../runtimes.ts'

/** `use` gets the runtime that a server would have; what it needs a directory for has one that is gone afterwards. */
export async function withRuntime<T>(
  config: Config,
  state: ServerState,
  use: (chosen: ChosenRuntime) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'e2b-doctor-'))
  let chosen: ChosenRuntime | undefined
  try {
    chosen = await chooseRuntime(config, state, silentLog, { folder })
    return await use(chosen)
  } finally {
    await chosen?.runtime.close()
    await rm(folder, { recursive: true, force: true })
  }
}
