import { accessSync, constants, statfsSync } from 'node:fs'
import type { Check } from '../cli/actions.ts'
import { silentLog } from '../lib/log.ts'
import type { Config } from './config.ts'
import { baseImage, guestBinary } from './installation.ts'
import { createRuntime } from './runtimes.ts'
import { prepareStateDir, readServerInfo } from './state-dir.ts'

const timeoutMs = 5_000

/** Looks at everything `start` needs. Never throws: what fails is a check that isn't ok, with its remedy. */
export async function diagnose(config: Config): Promise<Check[]> {
  return Promise.all([
    check('node', async () => `Node ${process.versions.node}`),
    check('state directory', async () => {
      prepareStateDir(config.stateDir)
      const { bavail, bsize } = statfsSync(config.stateDir)
      return `${config.stateDir}, ${Math.floor((bavail * bsize) / 2 ** 30)} GiB free`
    }),
    check('guest agent', async () => {
      accessSync(guestBinary(), constants.X_OK)
      return guestBinary()
    }),
    check('runtime', async () => {
      const runtime = createRuntime(config, 'doctor', silentLog)
      const { usable, detail, versions } = await runtime.fingerprint(AbortSignal.timeout(timeoutMs))
      const image = baseImage()
      const imageThere =
        usable && image !== undefined && (await runtime.images.has(image, AbortSignal.timeout(timeoutMs)))
      await runtime.close()
      if (!usable) throw new Error(detail)
      if (!imageThere)
        throw new Error('The image of template "base" is missing. Run "npm start", which builds it.')
      return `${runtime.name} (${Object.entries(versions)
        .map((pair) => pair.join(' '))
        .join(', ')})`
    }),
    check('server', async () => {
      const url = readServerInfo(config.stateDir)?.url
      if (url == null) throw new Error('Not running. Start it with "npm start".')
      const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(timeoutMs) })
      if (!answer.ok) throw new Error(`${url} answers ${answer.status}. Its log has the cause.`)
      return `${url} answers`
    }),
  ])
}

async function check(name: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await look() }
  } catch (error) {
    return { name, ok: false, detail: (error as Error).message }
  }
}
