/** What the engine runs on, asked once, and again when it has been away. */
import type { Engine } from './engine.ts'
import { type EngineInfo, engineInfo, isOwnKernel, isRootless } from './fingerprint.ts'

export interface EngineHost {
  /** Errors as `Engine.call`. */
  info(signal: AbortSignal): Promise<EngineInfo>
  /**
   * Whether containers are processes of this very kernel that we may reach into as root: their control groups, mounts
   * and layers. Errors as `Engine.call`.
   */
  isOurs(signal: AbortSignal): Promise<boolean>
}

export function createEngineHost(engine: Engine): EngineHost {
  let known: EngineInfo | undefined
  engine.health.onChange(() => {
    known = undefined
  })
  const info = async (signal: AbortSignal) => {
    known ??= await engineInfo(engine, signal)
    return known
  }
  return {
    info,
    async isOurs(signal) {
      if (process.getuid?.() !== 0) return false
      const found = await info(signal)
      return isOwnKernel(found, process.platform) && !isRootless(found)
    },
  }
}
