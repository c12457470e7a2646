/**
 * The API as commands of this machine ask it: by the running server's own socket in its state directory, whatever names,
 * certificates and proxies there are, with the operator's token for a team.
 */
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { ServerError } from '../../domain/error.ts'
import { ensureAdminToken } from '../admin-token.ts'
import { type Config, ConfigError } from '../config.ts'
import { readServerInfo } from '../state-dir.ts'

export interface ApiSocket {
  /** The answer's body. Errors: `ServerError` with the server's sentence. */
  ask<T>(what: `${'GET' | 'POST' | 'DELETE'} ${string}`, body?: object): Promise<T>
  /** Errors: `ServerError` with the server's sentence. */
  upload(path: string, body: Readable, sizeBytes: number): Promise<void>
  close(): Promise<void>
}

/** Errors: `ConfigError` where no server runs. */
export async function openApi(config: Config, teamId: string): Promise<ApiSocket> {
  if (readServerInfo(config.stateDir)?.url == null) {
    throw new ConfigError(`No server runs with ${config.stateDir}: start it, or name its --state-dir.`)
  }
  const headers = { 'x-admin-token': ensureAdminToken(config), 'x-team-id': teamId }
  const folder = await open(config.stateDir, 'r')
  // The system limits the length of a socket's path.
  const socketPath = `/proc/self/fd/${folder.fd}/api.sock`
  return {
    async ask(what, body) {
      const [method, path] = what.split(' ') as [string, string]
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const type = payload === undefined ? {} : { 'content-type': 'application/json' }
      const req = request({ socketPath, method, path, headers: { ...headers, ...type } })
      const answered = once(req, 'response') as Promise<[IncomingMessage]>
      req.end(payload)
      return read((await answered)[0])
    },
    async upload(path, body, sizeBytes) {
      const req = request({ socketPath, method: 'PUT', path, headers: { 'content-length': sizeBytes } })
      const answered = once(req, 'response') as Promise<[IncomingMessage]>
      const [[answer]] = await Promise.all([answered, pipeline(body, req)])
      await read(answer)
    },
    close: () => folder.close(),
  }
}

async function read<T>(answer: IncomingMessage): Promise<T> {
  const body = await text(answer)
  const { statusCode = 500 } = answer
  const value = body === '' ? undefined : JSON.parse(body)
  if (statusCode < 300) return value
  throw new ServerError('failed_precondition', String(value?.message ?? `The server answered ${statusCode}.`))
}
