/** What clients see: the tools, prompts and resources of all servers, as of one. */
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import {
  CallToolRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  ResultSchema,
} from '@modelcontextprotocol/sdk/types.js'

/** A tool may work for long; a client that leaves ends it. */
const requestMs = 60 * 60_000

/** `servers` gives those that are connected, to be told of changes. */
export function createFront(upstreams, servers) {
  let lists = { tools: [], prompts: [], resources: [], resourceTemplates: [] }
  let owners = { tools: new Map(), prompts: new Map(), resources: new Map() }

  /** Asks all servers what they have, and tells the clients if they have begun already. */
  const refresh = async () => {
    const [tools, prompts, resources, templates] = await Promise.all(
      ['tools', 'prompts', 'resources', 'resourceTemplates'].map((kind) => listAll(upstreams, kind)),
    )
    const [namedTools, namedPrompts] = [named(tools), named(prompts)]
    owners = {
      tools: namedTools.owners,
      prompts: namedPrompts.owners,
      resources: new Map(resources.map(({ upstream, item }) => [item.uri, { upstream }])),
    }
    lists = {
      ...{ tools: namedTools.items, prompts: namedPrompts.items },
      ...{
        resources: resources.map(({ item }) => item),
        resourceTemplates: templates.map(({ item }) => item),
      },
    }
    for (const server of servers()) {
      await server.sendToolListChanged().catch(() => {})
      await server.sendPromptListChanged().catch(() => {})
      await server.sendResourceListChanged().catch(() => {})
    }
  }

  const forward = (upstream, method, params, { signal }) =>
    upstream.request({ method, params }, ResultSchema, {
      signal,
      timeout: requestMs,
      maxTotalTimeout: requestMs,
    })

  const createServer = () => {
    const capabilities = {
      ...{ tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true } },
    }
    const server = new Server({ name: 'e2b-server mcp-gateway', version: '1.0.0' }, { capabilities })
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: lists.tools }))
    server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: lists.prompts }))
    server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: lists.resources }))
    server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
      resourceTemplates: lists.resourceTemplates,
    }))
    server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) => {
      const { upstream, name } = ownerOf(owners.tools, params.name, 'tool')
      return forward(upstream, 'tools/call', { name, arguments: params.arguments }, extra)
    })
    server.setRequestHandler(GetPromptRequestSchema, ({ params }, extra) => {
      const { upstream, name } = ownerOf(owners.prompts, params.name, 'prompt')
      return forward(upstream, 'prompts/get', { name, arguments: params.arguments }, extra)
    })
    server.setRequestHandler(ReadResourceRequestSchema, async ({ params }, extra) => {
      const owner = owners.resources.get(params.uri)
      if (owner !== undefined)
        return await forward(owner.upstream, 'resources/read', { uri: params.uri }, extra)
      return await firstAnswer(upstreams, (upstream) =>
        forward(upstream, 'resources/read', { uri: params.uri }, extra),
      )
    })
    return server
  }

  return { refresh, createServer }
}

async function listAll(upstreams, kind) {
  const lists = await Promise.all(
    upstreams.map(async (upstream) => (await upstream.list(kind)).map((item) => ({ upstream, item }))),
  )
  return lists.flat()
}

/**
 * Names are as the servers have them; of two with the same one the later is called `<server>_<name>`, in the characters that
 * models take in names of tools.
 */
function named(found) {
  const owners = new Map()
  const items = found.map(({ upstream, item }) => {
    const name = owners.has(item.name)
      ? `${upstream.name.replaceAll(/[^\w-]/g, '-')}_${item.name}`
      : item.name
    owners.set(name, { upstream, name: item.name })
    return { ...item, name }
  })
  return { owners, items }
}

function ownerOf(owners, name, what) {
  const owner = owners.get(name)
  if (owner === undefined) throw new McpError(-32602, `There is no ${what} "${name}".`)
  return owner
}

/** What is made from a template no list names: whoever knows it answers. */
async function firstAnswer(upstreams, ask) {
  for (const upstream of upstreams) {
    try {
      return await ask(upstream)
    } catch {
      // Another may.
    }
  }
  throw new McpError(-32602, 'No server has that resource.')
}
