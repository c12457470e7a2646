import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

/** A client of an MCP server. `headers`: for those of sandboxes that are found by them */
export async function connectTo(
  url: string,
  token?: string,
  headers: Record<string, string> = {},
): Promise<Client> {
  const client = new Client({ name: 'test', version: '1.0.0' })
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { ...headers, ...authorization } },
  })
  // Its types are of another strictness than ours.
  await client.connect(transport as Parameters<Client['connect']>[0])
  return client
}
