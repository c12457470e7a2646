import { expect, test } from 'vitest'
import { startApi } from '../../../../tests/support/api.ts'

test('a sandbox goes by its template’s names; one that isn’t there is told those that are', async () => {
  await using api = await startApi()
  for (const templateID of ['base', 'base:default', 'e2b/base', 'e2b/base:default', 'E2B/Base']) {
    const made = await api.ask('POST /v2/sandboxes', { body: { templateID } })
    expect(made.json()).toMatchObject({ templateID: 'base', alias: 'base' })
  }
  for (const templateID of ['code-interpreter-v1', 'team/base', 'e2b/other', 'no name']) {
    const refused = await api.ask('POST /v2/sandboxes', { body: { templateID } })
    expect(refused.json()).toEqual({
      code: 404,
      message: `Template "${templateID}" doesn't exist or you don't have access to it. Templates of this server: "base".`,
    })
  }
  for (const [templateID, what] of [
    ['base:v2', "the tag 'v2'"],
    ['base:0b5f3ac8-7f3f-4d5e-9f1a-2f4c5f0d7a11', 'that id'],
  ]) {
    const refused = await api.ask('POST /v2/sandboxes', { body: { templateID } })
    const message = `Template "${templateID}" does not exist yet: it has no ready build with ${what}.`
    expect(refused.json()).toEqual({ code: 404, message })
  }
  const [build] = await api.control.store.builds.list({ templateId: 'base' })
  const made = await api.ask('POST /v2/sandboxes', { body: { templateID: `base:${build!.id}` } })
  expect(made.statusCode).toBe(201)
})

test('mcp is taken', async () => {
  await using api = await startApi()
  const body = { templateID: 'base', mcp: { github: { token: 'x' } } }
  expect((await api.ask('POST /v2/sandboxes', { body })).statusCode).toBe(201)
  expect((await api.ask('POST /v2/sandboxes', { body: { ...body, mcp: 'github' } })).statusCode).toBe(400)
})

test('private traffic needs a secured sandbox', async () => {
  await using api = await startApi()
  const body = { templateID: 'base', network: { allowPublicTraffic: false } }
  const refused = await api.ask('POST /sandboxes', { body })
  expect(refused.json()).toEqual({
    code: 400,
    message:
      "You cannot create a sandbox without public access unless you enable secure envd access via 'secure' flag.",
  })
  const made = await api.ask('POST /sandboxes', { body: { ...body, secure: true } })
  expect(made.json()).toMatchObject({ trafficAccessToken: expect.any(String) })
})

test('health is told in plain text, to anybody', async () => {
  await using api = await startApi()
  const answer = await api.ask('GET /health', { headers: {} })
  expect(answer.body).toBe('Health check successful')
  expect(answer.headers['content-type']).toContain('text/plain')
})
