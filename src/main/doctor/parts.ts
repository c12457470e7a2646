/** The server's own parts. */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import type { Check } from '../../cli/actions.ts'
import { serverApiKey } from '../api-keys.ts'
import { type Config, ConfigError } from '../config.ts'
import { databasePath } from '../state-dir.ts'
import { ask } from './ask.ts'
import { check, type Finding, Trouble } from './check.ts'
import type { Running } from './running.ts'

const seeLog = 'Its log has the cause.'

export function lookAtParts(config: Config, running: Running | undefined): Promise<Check>[] {
  return [
    check('store', async () => store(databasePath(config.stateDir))),
    check('server', async () => {
      if (running === undefined) throw new Trouble('Not running.', 'Start it with "npm start".')
      const status = await ask(running, '/health')
      if (status !== 200) throw new Trouble(`${running.url} answers ${status}.`, seeLog)
      return `${running.url} answers, process id ${running.pid}`
    }),
    ...(running === undefined
      ? []
      : [
          check('API and key', () => apiAndKey(config, running)),
          check('sandbox traffic', async () => {
            // No sandbox has this id: whoever gives the answer for that is the edge.
            const headers = { 'e2b-sandbox-id': 'inone', 'e2b-sandbox-port': '49983' }
            const status = await ask(running, '/health', headers, 'sandbox')
            if (status !== 502) throw new Trouble(`Traffic of sandboxes is answered ${status}.`, seeLog)
            return 'requests for sandboxes are routed'
          }),
        ]),
  ]
}

async function apiAndKey(config: Config, running: Running): Promise<string | Finding> {
  const path = '/v2/sandboxes?limit=1'
  let key: string
  try {
    key = serverApiKey(config, running)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const status = await ask(running, path)
    if (status !== 401) throw new Trouble(`The API answers ${status} to who has no key.`, seeLog)
    return { state: 'warn', detail: 'the API asks for a key, which is not known here', remedy: error.message }
  }
  const status = await ask(running, path, { 'x-api-key': key })
  if (status === 401) {
    throw new Trouble(
      'The server does not take the key that is known here.',
      'Give this command the key that the server was given, or see "keys list".',
    )
  }
  if (status !== 200) throw new Trouble(`The API answers ${status}.`, seeLog)
  return 'the API takes the server’s key'
}

function store(path: string): string | Finding {
  if (!existsSync(path)) return { detail: 'none yet: the first start makes it' }
  const database = new Database(path, { readonly: true, timeout: 2000 })
  try {
    const found = database.pragma('quick_check(1)', { simple: true })
    if (found === 'ok') return path
    throw new Trouble(
      `${path} is damaged: ${found}.`,
      'Stop the server, and put a backup of the file in its place.',
    )
  } finally {
    database.close()
  }
}
