import { ServerError } from '../../domain/error.ts'

const usualPath = '/var/run/docker.sock'

/**
 * The engine's socket from the value of DOCKER_HOST. Errors: `invalid_argument` for anything but a unix socket: the
 * agent and the sandboxes' sockets are files of this machine, which an engine elsewhere doesn't see.
 */
export function enginePath(dockerHost: string | undefined): string {
  if (dockerHost === undefined || dockerHost === '') return usualPath
  const path = /^unix:\/\/(\/.+)$/.exec(dockerHost)?.[1]
  if (path !== undefined) return path
  throw new ServerError(
    'invalid_argument',
    'DOCKER_HOST must be unix:///path: the Docker engine has to be on this machine.',
  )
}
