import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ApiParts } from '../parts.ts'

/**
 * GET /: what this is, and how a program is pointed at it, for a person who opens the address. HTML for browsers, text for
 * everything else; nothing in it is secret.
 */
export function addFrontPage(app: FastifyInstance, { domain }: Pick<ApiParts, 'domain'>): void {
  app.get('/', (request, reply) => {
    const variables = [...addressVariables(request, domain()), 'E2B_API_KEY=<your key>'].join('\n')
    reply.header('vary', 'Accept')
    if (!/\btext\/html\b/i.test(request.headers.accept ?? '')) {
      return reply.type('text/plain; charset=utf-8').send(`${what}\n\n${how}\n\n${variables}\n\n${more}\n`)
    }
    reply.headers({
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
    })
    return reply.type('text/html; charset=utf-8').send(page(variables))
  })
}

const what = 'This is e2b-server. It runs sandboxes for programs that use the SDKs of E2B.'
const how = 'A program finds it by its environment:'
const more =
  'On the machine of the server "npx e2b-server env" prints these lines with a key. docs/compat.md of e2b-server lists what works.'

/** Without a domain of its own a server's sandboxes have names under localhost, and programs need its address. */
function addressVariables({ headers }: FastifyRequest, domain: string | null): string[] {
  if (domain !== null && !/^localhost(:|$)/.test(domain)) return [`E2B_DOMAIN=${domain}`]
  const scheme = headers['x-forwarded-proto'] === 'https' ? 'https' : 'http'
  const host = headers.host ?? ''
  const url = `${scheme}://${/^[a-z0-9.:[\]_-]{1,260}$/i.test(host) ? host : 'localhost'}`
  return [`E2B_API_URL=${url}`, `E2B_SANDBOX_URL=${url}`]
}

function page(variables: string): string {
  const shown = variables.replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>e2b-server</title><style>body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto 0;max-width:40em;padding:0 1em}
pre{background:#f3f3f3;overflow:auto;padding:1em}</style></head>
<body><main><h1>e2b-server</h1><p>${what}</p><p>${how}</p><pre>${shown}</pre><p>${more}</p></main></body></html>`
}
