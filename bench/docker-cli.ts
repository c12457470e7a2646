/** The baselines: what the same machine's Docker costs by its own client, as `e2b-server bench` asks it. */
import { randomBytes } from 'node:crypto'
import { openEngine } from '../src/bench/engine.ts'
import { baseImage as imageOfBase } from '../src/main/installation.ts'

/** The image that template `base` starts from */
export const baseImage = imageOfBase() ?? ''

/** The engine with that image. Errors: there is none. */
async function requireEngine() {
  const { signal } = new AbortController()
  const engine = await openEngine({ image: baseImage, runId: randomBytes(6).toString('hex'), signal })
  if (typeof engine === 'string') throw new Error(engine)
  return engine
}

/** `docker`: what a command prints; `run`: a container with the limits of a sandbox */
export const { version: dockerVersion, docker, run: dockerRun, remove: dockerRemove } = await requireEngine()
