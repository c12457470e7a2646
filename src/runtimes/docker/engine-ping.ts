import { type Agent, request } from 'node:http'

/** What the engine says of itself without being asked for a version of its API. */
export interface EnginePong {
  /** Newest API version it speaks, e.g. `1.41` */
  apiVersion: string
}

/**
 * `GET /_ping` over the engine's socket: the only call that every engine answers, whatever API versions it admits.
 * Rejects with the system's error, or the signal's reason. Made by hand because dockerode hides the answer's headers.
 */
export function pingEngine(socketPath: string, agent: Agent, signal: AbortSignal): Promise<EnginePong> {
  return new Promise((resolve, reject) => {
    const req = request({ socketPath, agent, path: '/_ping', headers: { host: 'docker' }, signal }, (res) => {
      res.resume()
      const version = res.headers['api-version']
      res.once('end', () => resolve({ apiVersion: typeof version === 'string' ? version : '' }))
      res.once('error', fail)
    })
    const fail = (error: Error) => reject(signal.aborted ? signal.reason : error)
    req.once('error', fail)
    req.end()
  })
}
