/**
 * Which request is for whom, decided from names alone; `spec/routing.md` is the contract. Pure, and total: hostile
 * input gets a route like any other.
 */
import { isIP } from 'node:net'
import type { HttpRequest } from '../domain/http.ts'

/** A port of a sandbox. */
export interface SandboxRoute {
  kind: 'sandbox'
  sandboxId: string
  /** 1 … 65535; 49983 is envd */
  port: number
}

/** A request that names a sandbox wrongly. */
export interface ErrorRoute {
  kind: 'error'
  /** HTTP status */
  status: number
  message: string
}

export type Route = { kind: 'api' } | SandboxRoute | ErrorRoute

/** What routing looks at; each is the raw header, or undefined where it is absent. */
export interface RouteInput {
  /** More than one `Host`: who reads the first and who reads the last would disagree (RFC 9112 3.2) */
  hasManyHosts?: boolean
  host: string | undefined
  sandboxIdHeader: string | undefined
  sandboxPortHeader: string | undefined
  /** As in the request line */
  target?: string | undefined
}

export interface RouteOptions {
  /** The domain the server goes by, where it has one: this name itself and `api.` before it are the API's */
  domain?: string | undefined
}

/** The longest label of a host name, and so the longest sandbox id, in characters. */
const labelMaxLength = 63
const nameMaxLength = 253

/** The route of a request. Never throws. */
export function routeOf(input: RouteInput, options: RouteOptions = {}): Route {
  if (input.hasManyHosts) return badRequest('Invalid host')
  const name = nameOfHost(input.host ?? '')
  if (name === undefined || isOwnName(name, options.domain)) return { kind: 'api' }
  const isAddress = /:|\d$/.test(name) && isIP(name) !== 0
  const byName = isAddress ? undefined : routeByName(name, options.domain)
  if (byName) return byName
  const takesHeaders = isAddress || name === 'localhost' || name.startsWith('sandbox.')
  return (takesHeaders && !isCallOfApi(input) && routeByHeaders(input)) || { kind: 'api' }
}

/** `routeOf` with what it needs taken from a request's headers. */
export function routeOfRequest(req: HttpRequest, options: RouteOptions = {}): Route {
  return routeOf(
    {
      hasManyHosts: hasManyHosts(req),
      host: req.headers.host,
      sandboxIdHeader: single(req.headers['e2b-sandbox-id']),
      sandboxPortHeader: single(req.headers['e2b-sandbox-port']),
      target: req.url,
    },
    options,
  )
}

/** In HTTP/2 `:authority` decides, and one `Host` beside it counts for nothing. */
function hasManyHosts({ rawHeaders, httpVersionMajor }: HttpRequest): boolean {
  if (httpVersionMajor > 1) return false
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts > 1
}

/** Node joins repeated headers of this kind itself; the type doesn't know. */
function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header
}

/** The name or address of a `Host` header in lower case: no port, brackets or final dot. Undefined if malformed. */
function nameOfHost(host: string): string | undefined {
  const bracketed = /^\[([0-9a-f:.]{2,45})\](?::\d{0,5})?$/i.exec(host)
  if (bracketed) return isIP(bracketed[1]!) === 6 ? bracketed[1]!.toLowerCase() : undefined
  const named = /^([a-z0-9._-]+)(?::\d{0,5})?$/i.exec(host)
  const name = named?.[1]?.toLowerCase().replace(/\.$/, '')
  return name && name.length <= nameMaxLength ? name : undefined
}

function isOwnName(name: string, domain: string | undefined): boolean {
  if (!domain) return false
  const own = domain.toLowerCase()
  return name === own || name === `api.${own}`
}

/**
 * By a leftmost label `<port>-<id>[-anything]`; undefined where it doesn't begin like one. Under the server's own
 * domain any label with a dash is meant for one.
 */
function routeByName(name: string, domain: string | undefined): SandboxRoute | ErrorRoute | undefined {
  const dot = name.indexOf('.')
  const label = dot === -1 ? name : name.slice(0, dot)
  // What follows the id has no meaning: old clients put another id there.
  const [port = '', id] = label.split('-')
  if (id === undefined) return undefined
  if (!/^\d+$/.test(port) && name !== `${label}.${domain?.toLowerCase()}`) return undefined
  return dot === -1 ? badRequest('Invalid host') : sandboxRoute(id, port)
}

/**
 * Whether headers that name envd are on a call that envd doesn't have but the API does: Python SDKs up to some 2.4x
 * send them when they connect to a sandbox.
 */
function isCallOfApi({ sandboxPortHeader, target = '' }: RouteInput): boolean {
  return sandboxPortHeader === '49983' && /^\/+sandboxes\/[^/?]+\/connect$/.test(target)
}

/** By the two routing headers; undefined where neither is there. An empty header is an absent one. */
function routeByHeaders(input: RouteInput): SandboxRoute | ErrorRoute | undefined {
  const { sandboxIdHeader: id, sandboxPortHeader: port } = input
  if (!id && !port) return undefined
  if (id && port) return sandboxRoute(id, port)
  const missing = id ? 'E2b-Sandbox-Port' : 'E2b-Sandbox-Id'
  return badRequest(`missing header ${missing}: E2b-Sandbox-Id and E2b-Sandbox-Port are sent together`)
}

function sandboxRoute(id: string, portText: string): SandboxRoute | ErrorRoute {
  const port = /^[1-9]\d{0,4}$/.test(portText) ? Number(portText) : 0
  if (port < 1 || port > 65_535) return badRequest('Invalid port: use a number from 1 to 65535')
  if (id.length > labelMaxLength || !/^[a-z0-9]+$/.test(id)) return badRequest('Invalid sandbox ID')
  return { kind: 'sandbox', sandboxId: id, port }
}

function badRequest(message: string): ErrorRoute {
  return { kind: 'error', status: 400, message }
}
