/** `addMcpServer` of the template builders: what it installs is there for `mcp` of create, without the internet. */
import { Sandbox, Template } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectTo } from '../support/mcp.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test('servers of npm and PyPI that a template adds are its sandboxes’, which install nothing', {
  timeout: 300_000,
}, async () => {
  const template = Template().fromTemplate('mcp-gateway').addMcpServer(['openbnbAirbnb', 'duckduckgo'])
  await Template.build(template, 'with-servers', { cpuCount: 1, memoryMB: 512 })
  const mcp = { duckduckgo: {}, openbnbAirbnb: {}, memory: {} }
  const sandbox = await Sandbox.create('with-servers', { mcp, allowInternetAccess: false })
  try {
    const headers = { 'e2b-sandbox-id': sandbox.sandboxId, 'e2b-sandbox-port': '50005' }
    const client = await connectTo(`${server.sandboxUrl}/mcp`, await sandbox.getMcpToken(), headers)
    const names = (await client.listTools()).tools.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['airbnb_search', 'search', 'create_entities']))
    await client.close()
  } finally {
    await sandbox.kill()
  }
})

test('the SDK adds servers to what begins with mcp-gateway alone, and what is no server fails the build', {
  timeout: 120_000,
}, async () => {
  expect(() => Template().fromTemplate('base').addMcpServer('exa')).toThrow('mcp-gateway')
  const unknown = Template()
    .fromTemplate('mcp-gateway')
    .addMcpServer('gmail' as 'exa')
  const log: string[] = []
  const onBuildLogs = ({ message }: { message: string }) => void log.push(message)
  await expect(Template.build(unknown, 'without', { onBuildLogs })).rejects.toThrow('mcp-gateway pull gmail')
  expect(log.join('\n')).toContain('The MCP server "gmail" isn\'t there')
})
