/** Images from registries. */
import { ServerError } from '../../domain/error.ts'
import type { PullOptions, PullProgress } from '../../domain/images.ts'
import { checkRegistry } from '../../images/check-registry.ts'
import {
  checkImageName,
  dockerHub,
  invalidImageName,
  mirrored,
  registryOf,
  splitImage,
  withTag,
} from '../../images/names.ts'
import type { RegistryChoice } from '../../images/registry-choice.ts'
import { type Login, loginOf } from '../../images/registry-login.ts'
import { type Engine, reasonOf, statusOf, withSignal } from './engine.ts'
import { jsonLines } from './json-lines.ts'

/** Pulls, and resolves with a name by which the image is there. Errors: those of `Images.pull`. */
export async function pullImage(
  engine: Engine,
  registries: RegistryChoice,
  image: string,
  options: PullOptions,
  signal: AbortSignal,
): Promise<string> {
  checkImageName(image)
  if (registries.offline) {
    throw new ServerError(
      'failed_precondition',
      `The server asks no registry for ${image}, because it runs with --offline. Load the image into its engine, for ` +
        'example with "docker load", or start the server without --offline.',
    )
  }
  const { credentials } = options
  const named = withTag(image)
  // A user's password for Docker Hub is none of a mirror's business.
  const isMirrored =
    registries.mirror !== undefined && credentials === undefined && registryOf(image) === dockerHub
  const source = isMirrored ? mirrored(named, registries.mirror ?? '') : named
  const registry = registryOf(source)
  if (!isMirrored && registry !== dockerHub) await checkRegistry(registry, registries.allow, signal)
  const login = credentials && (await loginOf(credentials, registries.ecrEndpoint, signal))
  await pull(engine, { image, source, login, options }, signal)
  return source === named ? named : await rename(engine, source, named, signal)
}

interface Pull {
  /** As it was asked for */
  image: string
  /** Where it comes from */
  source: string
  login: Login | undefined
  options: PullOptions
}

async function pull(
  engine: Engine,
  { image, source, login, options: { platform, onProgress } }: Pull,
  signal: AbortSignal,
): Promise<void> {
  const registry = registryOf(source)
  const request = {
    ...(platform !== undefined && { platform }),
    ...(login !== undefined && { authconfig: { ...login, serveraddress: registry } }),
  }
  await engine.call(signal, async (docker, both) => {
    try {
      const progress = await docker.pull(source, withSignal(request, both))
      // A pull that fails half-way says so in its progress.
      for await (const line of jsonLines(progress)) {
        const { error } = line as { error?: unknown }
        if (typeof error === 'string') throw new Error(error)
        engine.health.heard()
        onProgress?.(toProgress(line as ProgressLine))
      }
    } catch (error) {
      if (both.aborted) throw error
      throw pullError(image, registry, login !== undefined, error)
    }
  })
}

interface ProgressLine {
  id?: unknown
  status?: unknown
  progressDetail?: { current?: unknown; total?: unknown }
}

function toProgress({ id, status, progressDetail }: ProgressLine): PullProgress {
  const { current, total } = progressDetail ?? {}
  return {
    ...(typeof id === 'string' && { layer: id }),
    status: typeof status === 'string' ? status : '',
    ...(typeof current === 'number' && { doneBytes: current }),
    ...(typeof total === 'number' && { totalBytes: total }),
  }
}

/** Gives an image from a mirror the name it was asked for by, where it can have that: a digest is no name to give. */
function rename(engine: Engine, source: string, named: string, signal: AbortSignal): Promise<string> {
  if (named.includes('@')) return Promise.resolve(source)
  return engine.call(signal, async (docker, both) => {
    await docker.getImage(source).tag(withSignal(splitImage(named), both))
    // Only the mirror's name goes, and what can't go does no harm.
    await docker
      .getImage(source)
      .remove({ abortSignal: both })
      .catch(() => {})
    return named
  })
}

/** The engine passes on what registries say, in sentences that differ between both. */
function pullError(image: string, registry: string, hasLogin: boolean, error: unknown): ServerError {
  const reason = reasonOf(error)
  const is = (pattern: RegExp) => pattern.test(reason)
  const made = (code: 'unauthenticated' | 'forbidden' | 'not_found' | 'unavailable', message: string) =>
    new ServerError(code, message, { cause: error })
  if (statusOf(error) === 400 || is(/invalid reference format/i)) return invalidImageName(image, error)
  if (is(/no matching manifest|does not match the specified platform|cannot be used on this platform/i)) {
    return made('not_found', `${registry} has no image ${image} for this machine's kind of CPU.`)
  }
  if (is(/toomanyrequests|rate limit/i)) {
    return new ServerError(
      'resource_exhausted',
      `${registry} gives this server no more images for now. Wait, give credentials, or use --registry-mirror.`,
      { cause: error },
    )
  }
  if (is(/no space left on device/i)) {
    return new ServerError('resource_exhausted', "The disk of the server's Docker engine is full.", {
      cause: error,
      errno: 'ENOSPC',
    })
  }
  if (is(/unauthorized|authentication required|no basic auth credentials|incorrect username or password/i)) {
    return hasLogin
      ? made(
          'unauthenticated',
          `The registry ${registry} refuses the credentials for ${image}. Check user name and password, and that they ` +
            'are for this registry.',
        )
      : made(
          'unauthenticated',
          `The registry ${registry} gives ${image} to nobody without credentials. Name a user and a password for it.`,
        )
  }
  if (is(/not found|manifest unknown|name unknown|does not exist/i) || statusOf(error) === 404) {
    return made('not_found', `${registry} has no image ${image}, or does not show it to this server.`)
  }
  if (is(/denied|forbidden/i)) {
    return made(
      'forbidden',
      `The registry ${registry} does not let this account pull ${image}. Check its rights there.`,
    )
  }
  return made('unavailable', `The image ${image} could not be pulled: ${registry} does not answer.`)
}
