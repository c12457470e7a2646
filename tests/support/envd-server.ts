/** envd on a real HTTP server in front of a real agent, as the edge would call it. */
import { once, setMaxListeners } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createEnvd } from '../../src/envd/envd.ts'
import type { EnvdTarget } from '../../src/envd/target.ts'
import type { Guest } from '../../src/guest/guest.ts'
import { type Log, silentLog } from '../../src/lib/log.ts'

export interface EnvdServer extends AsyncDisposable {
  url: string
  /** May be changed between requests */
  target: EnvdTarget
}

export async function startEnvd(
  guest: Guest,
  target: Partial<EnvdTarget> = {},
  log: Log = silentLog,
): Promise<EnvdServer> {
  const gone = new AbortController().signal
  setMaxListeners(0, gone)
  const whole: EnvdTarget = {
    guest,
    sandboxId: 'itest',
    accessToken: null,
    envVars: {},
    gone,
    ...target,
  }
  const envd = createEnvd({ log })
  const server = createServer((req, res) => envd.handle(whole, req, res))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    target: whole,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
