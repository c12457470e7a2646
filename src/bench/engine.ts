/** The baselines: what the same machine's Docker engine takes by its own client. */
import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'

const label = 'e2b-server.bench'
/** How long one command may take, in milliseconds: a hundred at once wait for each other. */
const commandMs = 120_000
const outputMaxBytes = 64 * 2 ** 20

export interface Engine {
  readonly version: string
  /** What a command of the client prints. Errors: what it says. */
  docker(...args: string[]): Promise<string>
  /** The id of a new container with the limits that a sandbox has. */
  run(): Promise<string>
  remove(ids: string[]): Promise<void>
  /** The image of a container's files; it goes with the benchmark. */
  commit(id: string): Promise<string>
  /** Removes all that it was asked to make. */
  close(): Promise<void>
}

/**
 * The engine that the client `docker` finds, with `image` in it. `runId` marks what is made, so that nothing is left and
 * nothing else is removed. Resolves with a sentence where there is none.
 */
export async function openEngine({
  image,
  runId,
  signal,
}: {
  image: string | undefined
  runId: string
  signal: AbortSignal
}): Promise<Engine | string> {
  if (image === undefined) return 'there is no base image that an engine could have'
  const ask = async (args: string[], until?: AbortSignal) => {
    const options = { maxBuffer: outputMaxBytes, timeout: commandMs, ...(until && { signal: until }) }
    const { stdout } = await promisify(execFile)('docker', args, options)
    return stdout.trim()
  }
  const docker = (...args: string[]) => ask(args, signal)
  let version: string
  try {
    version = await docker('version', '--format', '{{.Server.Version}}')
    await docker('image', 'inspect', '--format', '{{.Id}}', image)
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim().split('\n')[0]
    return `Docker's client has no engine with the image ${image} (${said || (error as Error).message})`
  }
  const mark = `${label}=${runId}`
  const repository = `e2b-server-bench-${runId}`
  const limits = [`--cpus=${Math.min(2, availableParallelism())}`, '--memory=512m', '--pids-limit=4096']
  let commits = 0
  return {
    version,
    docker,
    run: () => docker('run', '-d', '--label', mark, ...limits, image, 'sleep', 'infinity'),
    async remove(ids) {
      if (ids.length > 0) await docker('rm', '-f', ...ids)
    },
    async commit(id) {
      const name = `${repository}:${commits++}`
      await docker('commit', id, name)
      return name
    },
    async close() {
      const words = (text: string) => text.split('\n').filter(Boolean)
      const containers = words(await ask(['ps', '-aq', '--filter', `label=${mark}`]))
      if (containers.length > 0) await ask(['rm', '-f', ...containers])
      const images = words(await ask(['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', repository]))
      if (images.length > 0) await ask(['rmi', '-f', ...images])
    },
  }
}
