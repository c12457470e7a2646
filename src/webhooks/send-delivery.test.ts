import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { isRefused, sendDelivery } from './send-delivery.ts'

test.each([
  ['169.254.169.254', true],
  ['::ffff:169.254.169.254', true],
  ['fe80::1', true],
  ['0.0.0.0', true],
  ['fd00:ec2::254', true],
  ['127.0.0.1', false],
  ['10.1.2.3', false],
  ['8.8.8.8', false],
  ['::1', false],
  ['2001:db8::1', false],
  ['169.254.1', true],
])('%s is refused: %s', (address, expected) => {
  expect(isRefused(address)).toBe(expected)
})

test.each(['http://169.254.169.254/latest', 'http://[fe80::1]/', 'http://2852039166/', 'http://0xa9fea9fe/'])(
  'a delivery to %s is refused',
  async (url) => {
    const delivery = { url, headers: {}, body: '{}' }
    await expect(sendDelivery(delivery, AbortSignal.timeout(5_000))).rejects.toThrow(/link-local/)
  },
)

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
