/** Where webhooks are sent: not to what only this server can reach, by whatever name, and nowhere else by a redirect. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createSender } from '../../src/webhooks/send-delivery.ts'
import { ask } from './support/ask.ts'
import { attacked, attackersSandbox } from './support/attacked.ts'

const { attackerKey, url, debugPort } = attacked()
const headers = { 'x-api-key': attackerKey }
const own = new URL(url).port
const here = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
const hosts = here.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address)

/** A server on all addresses of this machine that remembers who came. */
async function recorder() {
  const asked: string[] = []
  const server = createServer((req, res) => {
    asked.push(req.url ?? '')
    res.end()
  })
  await once(server.listen(0, '::'), 'listening')
  return { asked, port: (server.address() as AddressInfo).port, server }
}

/**
 * `PORT` is that of a server on this machine, reachable from the internet where the machine's own address is; the server's
 * own ports are refused there too.
 */
const targets = [
  ...[`127.0.0.1:${own}`, `localhost:${own}`, `127.0.0.1:${debugPort}`, `0.0.0.0:${own}`, `[::1]:${own}`],
  ...['127.0.0.1:PORT', '127.1:PORT', '2130706433:PORT', '0x7f.1:PORT', '0177.0.0.1:PORT', 'localhost:PORT'],
  ...['LOCALHOST:PORT', '0.0.0.0:PORT', '[::]:PORT', '[::1]:PORT', '[::ffff:127.0.0.1]:PORT'],
  ...['[::7f00:1]:PORT', '[64:ff9b::7f00:1]:PORT', '127.0.0.1。:PORT', '①②⑦.0.0.1:PORT'],
  ...[...hosts.slice(0, 4).map((each) => (each.includes(':') ? `[${each}]` : each)), hostname()].map(
    (each) => `${each}:${own}`,
  ),
  ...[
    '169.254.169.254',
    '[fd00:ec2::254]',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '172.17.0.1',
    '10.0.0.1',
  ],
]

let victim: Awaited<ReturnType<typeof recorder>>
beforeAll(async () => {
  victim = await recorder()
})
afterAll(() => {
  victim.server.closeAllConnections()
  victim.server.close()
})

describe('a webhook is not sent to', () => {
  /** What its owner is told of a delivery, or how its address was refused before. */
  const outcomes: string[] = []
  beforeAll(async () => {
    const made = await Promise.all(
      targets.map((target, index) => {
        const hook = {
          name: 'x',
          url: `http://${target.replace('PORT', String(victim.port))}/hook-${index}`,
          enabled: true,
          events: [],
        }
        const body = JSON.stringify({ ...hook, signatureSecret: 'a secret of sixteen' })
        return ask('POST /events/webhooks', { headers, body })
      }),
    )
    await (await attackersSandbox()).setTimeout(3_600_000)
    for (const { status, text } of made) {
      const { id } = JSON.parse(text) as { id?: string }
      if (status !== 201) {
        outcomes.push(`refused: ${status}`)
        continue
      }
      const told = async () => {
        const shown = await ask(`GET /events/webhooks/${id}`, { headers })
        const { lastError } = JSON.parse(shown.text) as { lastError?: string }
        if (lastError === undefined) throw new Error('It has not been tried yet.')
        return lastError
      }
      outcomes.push(await vi.waitFor(told, { timeout: 60_000, interval: 100 }))
      await ask(`DELETE /events/webhooks/${id}`, { headers })
    }
  }, 120_000)

  test.each(targets.map((target, index) => ({ target, index })))('$target', ({ index }) => {
    expect(outcomes[index]).toMatch(/^refused: 400$|webhooks aren't sent to|^getaddrinfo ENOTFOUND/)
  })

  test('so that nobody was asked', () => {
    expect(outcomes).toHaveLength(targets.length)
    expect(victim.asked).toEqual([])
  })
})

describe('a receiver that points elsewhere is not followed', () => {
  test.each([301, 302, 303, 307, 308])('%i', async (status) => {
    const paths: string[] = []
    const receiver = createServer((req, res) => {
      paths.push(req.url ?? '')
      res
        .writeHead(status, { location: `http://127.0.0.1:${victim.port}/moved`, refresh: '0; url=/again' })
        .end()
    })
    await once(receiver.listen(0, '127.0.0.1'), 'listening')
    const { port } = receiver.address() as AddressInfo
    // As where the operator has opened the receiver's range.
    const send = createSender({ allow: ['127.0.0.0/8'], ownPorts: () => [] })
    const delivery = { url: `http://127.0.0.1:${port}/hook`, headers: {}, body: '{}' }
    await expect(send(delivery, AbortSignal.timeout(30_000))).rejects.toThrow('No success.')
    expect(paths).toEqual(['/hook'])
    expect(victim.asked).toEqual([])
    receiver.closeAllConnections()
    receiver.close()
  })
})

test.each(['localhost', hostname(), ...hosts.slice(0, 1)])(
  'the server’s own ports are refused as %s, also in ranges that are open',
  async (name) => {
    const send = createSender({ allow: ['0.0.0.0/0', '::/0'], ownPorts: () => [victim.port] })
    const host = name.includes(':') ? `[${name}]` : name
    const delivery = { url: `http://${host}:${victim.port}/`, headers: {}, body: '{}' }
    await expect(send(delivery, AbortSignal.timeout(30_000))).rejects.toThrow(/webhooks aren't sent to/)
    expect(victim.asked).toEqual([])
  },
)
