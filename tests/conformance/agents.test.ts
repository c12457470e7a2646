/** The stock templates of agents' tools, built anew where the engine lacks them: each runs, and does what needs no model. */
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { buildStock } from '../support/stock.ts'

/** What is run, and what is seen then. */
const uses: Record<string, { command: string; says: RegExp }> = {
  claude: { command: 'claude mcp add own -- true && claude mcp get own', says: /Command: true/ },
  codex: { command: 'codex mcp add own -- true && codex mcp list', says: /^own +true .*enabled/m },
  opencode: { command: 'opencode agent list', says: /^build \(primary\)/m },
}

/** The smallest; `test:deep` builds all. */
const names = process.env.E2B_AGENT_TEMPLATES === 'all' ? Object.keys(uses) : ['codex']

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

test.each(names)('%s', { timeout: 900_000 }, async (name) => {
  const { command, says } = uses[name]!
  await buildStock(server, name)
  const sandbox = await Sandbox.create(name, { allowInternetAccess: false })
  try {
    const version = await sandbox.commands.run(`whoami && ${name} --version`)
    expect(version).toMatchObject({ stdout: expect.stringMatching(/^user\n.*\d+\.\d+\.\d+/), stderr: '' })
    expect((await sandbox.commands.run(command)).stdout).toMatch(says)
  } finally {
    await sandbox.kill()
  }
})
