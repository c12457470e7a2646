import { sleep } from '../../lib/deadline.ts'
import type { TemplateBuildInfoBody } from '../../wire/template.ts'
import { ConfigError } from '../config.ts'
import type { ApiSocket } from './api-socket.ts'

/** Time between two questions how far a build is, in ms. */
const pollMs = 250

/**
 * What a build says, until it is ready, by the path of its status. Errors: `ConfigError`, saying why it failed.
 */
export async function* follow(api: ApiSocket, path: string): AsyncGenerator<string> {
  const { status, reason } = yield* entriesOf(api, path, { isFollowed: true })
  if (status === 'error') throw new ConfigError(`The build failed: ${reason?.message ?? 'no reason given'}`)
}

/** The same up to now, whatever has become of the build; `isFollowed`: until it is over. Returns how it is then. */
export async function* entriesOf(
  api: ApiSocket,
  path: string,
  { isFollowed = false }: { isFollowed?: boolean } = {},
): AsyncGenerator<string, TemplateBuildInfoBody> {
  let offset = 0
  for (;;) {
    const info = await api.ask<TemplateBuildInfoBody>(`GET ${path}?logsOffset=${offset}`)
    for (const { message } of info.logEntries) yield message
    offset += info.logEntries.length
    if (info.logEntries.length > 0) continue
    if (!isFollowed || info.status === 'ready' || info.status === 'error') return info
    await sleep(pollMs)
  }
}
