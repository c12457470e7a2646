import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { dockerEndpoint, hasImage, loadImage, pingDocker } from './docker-socket.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

/** An HTTP server on a unix socket that answers as `statuses` says, by path; undefined: never. */
async function engine(statuses) {
  const socketPath = join(temporaryFolder(), 'docker.sock')
  const server = createServer((req, res) => {
    if (statuses[req.url] !== undefined) res.writeHead(statuses[req.url]).end('OK')
  }).listen(socketPath)
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { socketPath }
}

test('an engine that answers is up', async () => {
  expect(await pingDocker(await engine({ '/_ping': 200 }))).toBe('up')
})

test('an engine that refuses, hangs or isn’t there is down', async () => {
  expect(await pingDocker(await engine({ '/_ping': 500 }))).toBe('down')
  expect(await pingDocker(await engine({}), 50)).toBe('down')
  expect(await pingDocker({ socketPath: join(temporaryFolder(), 'none') })).toBe('down')
})

test('images are asked for by name and tag', async () => {
  const endpoint = await engine({
    '/images/e2b-server/base:abc/json': 200,
    '/images/e2b-server/base:def/json': 404,
  })
  expect(await hasImage(endpoint, 'e2b-server/base:abc')).toBe(true)
  expect(await hasImage(endpoint, 'e2b-server/base:def')).toBe(false)
  expect(await hasImage({ socketPath: join(temporaryFolder(), 'none') }, 'e2b-server/base:abc')).toBe(false)
})

test('an engine takes an image in from a file, and is asked whether it has it', async () => {
  const file = join(temporaryFolder(), 'image.tar')
  const content = Buffer.alloc(3_000_000, 'layer')
  writeFileSync(file, content)
  const socketPath = join(temporaryFolder(), 'docker.sock')
  let taken = Buffer.alloc(0)
  // As engines do, it says 200 before it knows.
  const server = createServer(async (req, res) => {
    if (req.method === 'POST' && req.url.startsWith('/images/load')) {
      const parts = []
      for await (const part of req) parts.push(part)
      taken = Buffer.concat(parts)
      res.end('{}')
    } else res.writeHead(req.url === '/images/base:abc/json' && taken.equals(content) ? 200 : 404).end()
  }).listen(socketPath)
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  expect(await loadImage({ socketPath }, 'base:abc', file)).toBe(true)
  expect(await loadImage({ socketPath }, 'base:def', file)).toBe(false)
  expect(await loadImage({ socketPath }, 'base:abc', `${file}.none`)).toBe(false)
  expect(await loadImage({ socketPath: join(temporaryFolder(), 'none') }, 'base:abc', file)).toBe(false)
})

test('DOCKER_HOST says where the engine is', () => {
  expect(dockerEndpoint({})).toEqual({ socketPath: '/var/run/docker.sock' })
  expect(dockerEndpoint({ DOCKER_HOST: '' })).toEqual({ socketPath: '/var/run/docker.sock' })
  expect(dockerEndpoint({ DOCKER_HOST: 'unix:///run/user/1000/docker.sock' })).toEqual({
    socketPath: '/run/user/1000/docker.sock',
  })
  expect(dockerEndpoint({ DOCKER_HOST: 'tcp://127.0.0.1:2376' })).toEqual({ host: '127.0.0.1', port: 2376 })
  expect(() => dockerEndpoint({ DOCKER_HOST: 'ssh://somewhere' })).toThrow(/ssh:\/\/somewhere/)
})
