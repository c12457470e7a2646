/** Images that servers have left with the engine. */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { Check } from '../../cli/actions.ts'
import { silentLog } from '../../lib/log.ts'
import type { Config } from '../config.ts'
import { createRuntime } from '../runtimes.ts'
import { databasePath } from '../state-dir.ts'
import { check, type Finding, lookTimeoutMs } from './check.ts'

/** Servers that are named, those with the most images first. */
const shownMax = 3

/** A server whose state directory is gone leaves them, and nobody but its operator knows that it won't come back. */
export function lookAtImages(config: Config): Promise<Check> {
  return check('images of others', () => images(config))
}

async function images(config: Config): Promise<Finding> {
  const runtime = createRuntime(config, instanceIdIn(databasePath(config.stateDir)) ?? 'doctor', silentLog)
  try {
    const others = await runtime.images.others(AbortSignal.timeout(lookTimeoutMs))
    if (others.size === 0) return { detail: 'none of other servers' }
    const most = [...others].sort(([, one], [, other]) => other.length - one.length).slice(0, shownMax)
    const list = most.map(([server, made]) => `${made.length} of ${server}`).join(', ')
    const more = others.size > shownMax ? ` and those of ${others.size - shownMax} more` : ''
    const remedy = 'docker image prune -a --filter label=e2b-server.instance=<id>'
    return { detail: `${list}${more}; where such a server is gone, "${remedy}" removes them` }
  } finally {
    await runtime.close()
  }
}

/** Of the server with that database; undefined where there is none yet. */
function instanceIdIn(path: string): string | undefined {
  if (!existsSync(path)) return undefined
  const database = new Database(path, { readonly: true, timeout: 2000 })
  try {
    const row = database.prepare("select value from meta where key = 'instance_id'").get()
    return (row as { value: string } | undefined)?.value
  } finally {
    database.close()
  }
}
