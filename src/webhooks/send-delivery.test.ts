import { createServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { expect, test } from 'vitest'
import { testCertificate } from '../../tests/support/certificate.ts'
import { isRefused, sendDelivery } from './send-delivery.ts'

test.each([
  ['169.254.169.254', true],
  ['::ffff:169.254.169.254', true],
  ['fe80::1', true],
  ['0.0.0.0', true],
  ['fd00:ec2::254', true],
  ['100.100.100.200', true],
  ['64:ff9b::a9fe:a9fe', true],
  ['::a9fe:a9fe', true],
  ['fe80::1%eth0', true],
  ['100.100.100.201', false],
  ['127.0.0.1', false],
  ['10.1.2.3', false],
  ['8.8.8.8', false],
  ['::1', false],
  ['2001:db8::1', false],
  ['169.254.1', true],
])('%s is refused: %s', (address, expected) => {
  expect(isRefused(address)).toBe(expected)
})

test.each([
  'http://169.254.169.254/latest',
  'http://[fe80::1]/',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'http://[::ffff:169.254.169.254]/',
  'http://[64:ff9b::169.254.169.254]/',
])('a delivery to %s is refused', async (url) => {
  const delivery = { url, headers: {}, body: '{}' }
  await expect(sendDelivery(delivery, AbortSignal.timeout(5_000))).rejects.toThrow(/link-local/)
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
  await expect(sendDelivery(to('/moved'), AbortSignal.timeout(5_000))).rejects.toThrow('It answered 302.')
  expect(asked).toBe(1)
  await sendDelivery(to('/long'), AbortSignal.timeout(20_000))
  await expect(sendDelivery(to('/silent'), AbortSignal.timeout(100))).rejects.toThrow(/too long/)
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
  await expect(receiver.deliver()).rejects.toThrow('It answered 101.')
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
  await expect(sendDelivery(delivery, AbortSignal.timeout(20_000))).rejects.toThrow(/certificate/)
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
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    requests,
    deliver: () => sendDelivery({ url, headers: {}, body: '{}' }, AbortSignal.timeout(20_000)),
    [Symbol.asyncDispose]: async () => {
      server.close()
    },
  }
}
