/** The servers behind the gateway: started as processes that speak MCP on their standard streams. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import {
  ListPromptsResultSchema,
  ListResourcesResultSchema,
  ListResourceTemplatesResultSchema,
  ListToolsResultSchema,
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { asUser } from './as-user.mjs'

const startMs = 50_000
const pagesMax = 100
const lastWordsMaxChars = 2000

/** What can be listed: the method, the capability it needs, and where its result has the list. */
const kinds = {
  tools: { method: 'tools/list', capability: 'tools', result: ListToolsResultSchema },
  prompts: { method: 'prompts/list', capability: 'prompts', result: ListPromptsResultSchema },
  resources: { method: 'resources/list', capability: 'resources', result: ListResourcesResultSchema },
  resourceTemplates: {
    method: 'resources/templates/list',
    capability: 'resources',
    result: ListResourceTemplatesResultSchema,
  },
}

/**
 * A server that runs, again after it has ended: whoever asks next starts it. `onChange` is told that its lists are others.
 * Rejects with an `Error` that has the server's last words.
 */
export async function startUpstream(server, onChange) {
  let connected = await connect(server, onChange)
  let connecting
  const client = async () => {
    if (connected.hasEnded()) {
      connecting ??= connect(server, onChange).finally(() => (connecting = undefined))
      connected = await connecting
    }
    return connected.client
  }
  return {
    name: server.name,
    async request(request, schema, options) {
      return await (await client()).request(request, schema, options)
    },
    close: () => connected.client.close(),
    /** All of a kind, whole; none where the server has nothing of it. */
    async list(kind) {
      const { method, capability, result } = kinds[kind]
      const of = await client()
      if (of.getServerCapabilities()?.[capability] === undefined) return []
      const found = []
      let cursor
      for (let page = 0; page < pagesMax; page++) {
        const answer = await of
          .request({ method, ...(cursor && { params: { cursor } }) }, result)
          .catch((error) => {
            // A server with resources need not have templates.
            if (kind === 'resourceTemplates') return { resourceTemplates: [] }
            throw error
          })
        found.push(...answer[kind])
        cursor = answer.nextCursor
        if (cursor === undefined) break
      }
      return found
    },
  }
}

async function connect({ name, command, args, env, cwd }, onChange) {
  const [program, ...words] = asUser()
  const transport = new StdioClientTransport({
    command: program,
    args: [...words, command, ...args],
    env: { PATH: process.env.PATH, LANG: 'C.UTF-8', ...env },
    cwd: cwd ?? '/home/user',
    stderr: 'pipe',
  })
  let lastWords = ''
  transport.stderr.setEncoding('utf8').on('data', (text) => {
    lastWords = (lastWords + text).slice(-lastWordsMaxChars)
  })
  const client = new Client({ name: 'mcp-gateway', version: '1.0.0' })
  let hasEnded = false
  client.onclose = () => (hasEnded = true)
  for (const schema of [
    ToolListChangedNotificationSchema,
    PromptListChangedNotificationSchema,
    ResourceListChangedNotificationSchema,
  ]) {
    client.setNotificationHandler(schema, onChange)
  }
  try {
    await client.connect(transport, { timeout: startMs })
  } catch (error) {
    await client.close().catch(() => {})
    throw new Error(`The MCP server "${name}" did not start: ${lastWords.trim() || error.message}`)
  }
  return { client, hasEnded: () => hasEnded }
}
