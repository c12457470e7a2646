import { createServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { testCertificate } from '../../tests/support/certificate.ts'
import { createSender } from './send-delivery.ts'

const open = createSender({ allow: [], ownPorts: () => [] })
/** Loopback is open to it, as where receivers are on the same machine. */
const sendDelivery = createSender({ allow: ['127.0.0.0/8', '::1'], ownPorts: () => [] })
const soon = () => AbortSignal.timeout(20_000)
const refusal = /webhooks aren't sent to/

test.each([
  ...[
    '127.0.0.1',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254/latest',
  ],
  ...[
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    '2852039166',
    '0xa9fea9fe',
    'localhost',
    '100.100.100.200',
  ],
  ...[
    '[::]',
    '[::1]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '[fc00::1]',
    '[::ffff:169.254.169.254]',
    '[::ffff:7f00:1]',
  ],
  ...['[64:ff9b::169.254.169.254]', '[64:ff9b::a00:1]', '[2002:7f00:1::]', '[::7f00:1]', '255.255.255.255'],
])('nothing is sent to %s', async (host) => {
  for (const scheme of ['http', 'https']) {
    const delivery = { url: `${scheme}://${host}`, headers: {}, body: '{}' }
    await expect(open(delivery, soon())).rejects.toThrow(refusal)
  }
})

test('the own listeners are refused by whatever address, also in ranges that are open', async () => {
  await using receiver = await receive(() => 'HTTP/1.1 204 No Content\r\n\r\n')
  const to = (url: string) => ({ url, headers: {}, body: '{}' })
  const everywhere = ['0.0.0.0/0', '::/0']
  const own = createSender({ allow: everywhere, ownPorts: () => [receiver.port] })
  const here = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  const addresses = here.filter(({ scopeid }) => !scopeid).map(({ address }) => address)
  for (const address of [...addresses, '0.0.0.0', '::', '::ffff:127.0.0.1', 'localhost']) {
    const host = address.includes(':') ? `[${address}]` : address
    await expect(own(to(`http://${host}:${receiver.port}/`), soon())).rejects.toThrow(refusal)
  }
  expect(receiver.requests).toEqual([])
  const other = createSender({ allow: everywhere, ownPorts: () => [receiver.port + 1] })
  await other(to(`http://127.0.0.1:${receiver.port}/`), soon())
})

test('owners learn nothing of inner receivers but that it was no success', async () => {
  await using receiver = await receive(() => 'HTTP/1.1 418 Teapot\r\ncontent-length: 0\r\n\r\n')
  await expect(receiver.deliver()).rejects.toThrow(/^No success\.$/)
  await using silent = await receive(() => undefined)
  await expect(silent.deliver()).rejects.toThrow(/^No connection, or no answer\.$/)
  const nobody = { url: `http://localhost:${await freePort()}/`, headers: {}, body: '{}' }
  await expect(sendDelivery(nobody, soon())).rejects.toThrow(/^No connection, or no answer\.$/)
})

test('redirects are not followed, long answers not read to their end, silence has its time', async () => {
  let asked = 0
  const server = createServer((req, res) => {
    asked++
    if (req.url === '/moved') res.writeHead(302, { location: '/there' }).end()
    else if (req.url === '/long') {
      res.writeHead(200)
      const more = () => {
        while (!res.destroyed && res.write(Buffer.alloc(65_536)));
        if (!res.destroyed) res.once('drain', more)
      }
      more()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const to = (path: string) => ({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    headers: {},
    body: '{}',
  })
  await expect(sendDelivery(to('/moved'), AbortSignal.timeout(5_000))).rejects.toThrow('No success.')
  expect(asked).toBe(1)
  await sendDelivery(to('/long'), AbortSignal.timeout(20_000))
  await expect(sendDelivery(to('/silent'), AbortSignal.timeout(100))).rejects.toThrow(/no answer/)
  server.closeAllConnections()
  server.close()
})

test('one connection serves several deliveries, and one that was hung up on meanwhile costs none', async () => {
  await using receiver = await receive((connection, request) =>
    connection === 1 && request === 3 ? undefined : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
  )
  for (let delivery = 1; delivery <= 3; delivery++) await receiver.deliver()
  expect(receiver.requests).toEqual([3, 1])
})

test('no answer on a new connection is a failure, told once', async () => {
  await using receiver = await receive(() => undefined)
  await expect(receiver.deliver()).rejects.toThrow()
  expect(receiver.requests).toEqual([1])
})

test('an answer that changes the protocol is a failure like any other', async () => {
  await using receiver = await receive(
    () => 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
  )
  await expect(receiver.deliver()).rejects.toThrow('No success.')
})

test('a receiver whose certificate nobody vouches for is told nothing', async () => {
  let asked = 0
  const server = createHttpsServer(await testCertificate('localhost'), (_, res) => {
    asked++
    res.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `https://localhost:${(server.address() as AddressInfo).port}/`
  const delivery = { url, headers: {}, body: '{}' }
  await expect(sendDelivery(delivery, AbortSignal.timeout(20_000))).rejects.toThrow(/No connection/)
  expect(asked).toBe(0)
  server.close()
})

/**
 * A receiver that answers in so many bytes: by the number of the connection and of the request on it, from 1. With
 * undefined it hangs up.
 */
async function receive(answer: (connection: number, request: number) => string | undefined) {
  /** How many came, by connection */
  const requests: number[] = []
  const server = createTcpServer((socket) => {
    const connection = requests.push(0)
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk
      if (!text.endsWith('\r\n\r\n{}')) return
      text = ''
      const bytes = answer(connection, ++requests[connection - 1]!)
      if (bytes === undefined) socket.destroy()
      else socket.write(bytes)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}/`
  return {
    port,
    requests,
    deliver: () => sendDelivery({ url, headers: {}, body: '{}' }, AbortSignal.timeout(20_000)),
    [Symbol.asyncDispose]: async () => {
      server.close()
    },
  }
}

async function freePort(): Promise<number> {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
