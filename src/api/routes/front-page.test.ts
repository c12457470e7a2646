import fastify from 'fastify'
import { expect, test } from 'vitest'
import { startApi } from '../../../tests/support/api.ts'
import { addFrontPage } from './front-page.ts'

const ask = (domain: string | null, headers: Record<string, string>) => {
  const app = fastify()
  addFrontPage(app, { domain: () => domain })
  return app.inject({ url: '/', headers })
}

test('a program is told the address that it asked, in text', async () => {
  const answer = await ask('localhost:3000', { host: 'box.example:3000' })
  expect(answer.headers['content-type']).toContain('text/plain')
  expect(answer.body).toContain('\nE2B_API_URL=http://box.example:3000\n')
  expect(answer.body).toContain('\nE2B_SANDBOX_URL=http://box.example:3000\n')
})

test('a server with a domain goes by that', async () => {
  const answer = await ask('e2b.local', { host: 'api.e2b.local' })
  expect(answer.body).toContain('\nE2B_DOMAIN=e2b.local\n')
  expect(answer.body).not.toContain('E2B_API_URL')
})

test('a browser gets a page, in which nothing of the request is markup', async () => {
  const accept = 'text/html,application/xhtml+xml'
  const answer = await ask(null, { accept, host: '"><script>alert(1)</script>' })
  expect(answer.headers['content-type']).toContain('text/html')
  expect(answer.headers['content-security-policy']).toContain("default-src 'none'")
  expect(answer.body).toContain('E2B_API_URL=http://localhost')
  expect(answer.body).not.toContain('script')
})

test('nobody needs a key for it, and none is in it', async () => {
  await using api = await startApi()
  const answer = await api.ask('GET /', { headers: {} })
  expect(answer.statusCode).toBe(200)
  expect(answer.body).toContain('e2b-server env')
  expect(answer.body).not.toMatch(/e2b_[0-9a-f]{8}/)
})
