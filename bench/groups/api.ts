import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { sample } from '../../src/bench/statistics.ts'
import type { Group } from '../group.ts'
import { spread } from '../report.ts'

const count = 1000

/** What an API call costs through a data worker, beside the same call of the control process's own socket. */
export const benchApi: Group = async ({ server, report }) => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const { hostname, port } = new URL(server.url)
  const agent = new Agent({ keepAlive: true })
  const calls = [
    { name: 'GET of a sandbox', method: 'GET', path: `/sandboxes/${sandbox.sandboxId}` },
    { name: 'POST of a timeout', method: 'POST', path: `/sandboxes/${sandbox.sandboxId}/timeout` },
  ]
  for (const { name, method, path } of calls) {
    const body = method === 'POST' ? '{"timeout":600}' : ''
    const headers = {
      'X-API-Key': server.apiKey,
      ...(body !== '' && { 'Content-Type': 'application/json', 'Content-Length': body.length }),
    }
    const ask = async (to: object) => {
      const sent = request({ ...to, agent, method, path, headers })
      const [answer] = await once(sent.end(body), 'response')
      answer.resume()
      await once(answer, 'end')
    }
    const [ours, direct]: [number[], number[]] = [[], []]
    // By turns, so that both get what the machine has left.
    for (let round = 0; round < 4; round++) {
      ours.push(...(await sample(() => ask({ hostname, port }), { count: count / 4, warmUp: 50 })))
      const socketPath = join(server.stateDir, 'api.sock')
      direct.push(...(await sample(() => ask({ socketPath }), { count: count / 4, warmUp: 50 })))
    }
    report(`${name} | asked of the control process directly`, spread(ours), spread(direct))
  }
  agent.destroy()
  await sandbox.kill()
}
