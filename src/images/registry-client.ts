/**
 * Asks registries, as the distribution specification has it. Every address is looked at before it is connected to, those of
 * redirects and of tokens too, so whoever may name images reaches nothing but what the operator has opened.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { ServerError } from '../domain/error.ts'
import { type AddressCheck, addressesOf, createAddressCheck, hostOf, pinnedLookup } from './check-registry.ts'
import type { Reference } from './reference.ts'
import type { Login } from './registry-login.ts'

/** Longest silence of a registry, in milliseconds */
const quietMs = 120_000
const redirectsMax = 10
/** Most that is read of a token's answer, in bytes */
const tokenMaxBytes = 256 * 1024

export interface RegistryClient {
  /**
   * An answer with status 200, whose body is to be read or destroyed. `path` is below the repository. Errors: those of
   * `Images.pull`.
   */
  get(path: string, accept: string): Promise<IncomingMessage>
  /** Whether the registry would give that to these credentials; false where it doesn't say. Errors: as `get`. */
  has(path: string): Promise<boolean>
}

export interface RegistryClientOptions {
  /** As it was asked for */
  image: string
  reference: Reference
  login: Login | undefined
  /** Private ranges that are asked all the same */
  allow: readonly string[]
  signal: AbortSignal
}

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { reference, login, signal } = options
  const { registry, host, path: repository } = reference
  // Where the operator sends images from, and Docker Hub, may be anywhere.
  const isTrusted = reference.isMirror || host !== registry
  const check: AddressCheck = isTrusted ? addressesOf : createAddressCheck(registry, options.allow, signal)
  let protocol: 'https:' | 'http:' = 'https:'
  let authorization: string | undefined
  let isAnonymous = false

  /** Follows redirects; what proves who asks goes to the registry alone. */
  const follow = async (start: URL, method: Method, headers: Record<string, string>) => {
    let url = start
    for (let redirects = 0; ; redirects++) {
      const what = redirects === 0 ? `The registry ${registry}` : `The address that ${registry} redirects to`
      const addresses = await check(hostOf(url), what)
      const { authorization: proof, ...others } = headers
      const isRegistry = url.origin === start.origin
      const sent = isRegistry && proof !== undefined ? headers : others
      const answer = await ask(url, { method, addresses, headers: sent, signal })
      const { statusCode = 0, headers: said } = answer
      if (statusCode < 300 || statusCode >= 400 || said.location === undefined) return answer
      answer.destroy()
      if (redirects === redirectsMax || !URL.canParse(said.location, url.href)) throw unavailable(options)
      url = new URL(said.location, url)
      if (!/^https?:$/.test(url.protocol)) throw unavailable(options)
    }
  }

  const tokenOf = async (answer: IncomingMessage): Promise<string | undefined> => {
    const challenge = (answer.headersDistinct['www-authenticate'] ?? []).join(', ')
    const basic = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
    const [, bearer] = /\bbearer\s+(.*)/i.exec(challenge) ?? []
    if (bearer === undefined) return basic
    const field = (name: string) => {
      const [, quoted, plain] =
        new RegExp(`\\b${name}\\s*=\\s*(?:"([^"]*)"|([^\\s,]+))`, 'i').exec(bearer) ?? []
      return quoted ?? plain
    }
    const realm = field('realm')
    if (realm === undefined || !URL.canParse(realm)) return undefined
    const url = new URL(realm)
    if (!/^https?:$/.test(url.protocol)) return undefined
    const service = field('service')
    if (service !== undefined) url.searchParams.set('service', service)
    url.searchParams.set('scope', `repository:${repository}:pull`)
    const addresses = await check(
      hostOf(url),
      `The address where ${registry} has its tokens fetched, ${url.host},`,
    )
    // A password is for nobody on the way.
    if (basic !== undefined && url.protocol !== 'https:' && !addresses.every(isLoopback))
      throw unencrypted(url, options)
    const headers = basic === undefined ? {} : { authorization: basic }
    const given = await ask(url, { method: 'GET', addresses, headers, signal })
    if (given.statusCode !== 200) {
      given.destroy()
      throw errorOf(given.statusCode ?? 0, options)
    }
    isAnonymous = basic === undefined
    const { token, access_token: other } = JSON.parse(await textOf(given, tokenMaxBytes)) as Record<
      string,
      unknown
    >
    const found = token ?? other
    return typeof found === 'string' ? `Bearer ${found}` : undefined
  }

  const send = async (method: Method, path: string, accept: string) => {
    const headers = { accept, ...(authorization !== undefined && { authorization }) }
    const url = () => new URL(`${protocol}//${host}/v2/${repository}/${path}`)
    try {
      return await follow(url(), method, headers)
    } catch (error) {
      // As engines have it: without TLS on this machine alone.
      const isHere = async () => {
        const addresses = await addressesOf(hostOf(url()))
        return addresses.length > 0 && addresses.every(isLoopback)
      }
      if (error instanceof ServerError || signal.aborted || protocol === 'http:' || !(await isHere()))
        throw error
      protocol = 'http:'
      return follow(url(), method, headers)
    }
  }

  /** An answer of any status, asked for as whoever has the login. */
  const request = async (method: Method, path: string, accept: string) => {
    const answer = await send(method, path, accept)
    if (answer.statusCode !== 401) return answer
    answer.destroy()
    const proof = await tokenOf(answer)
    if (proof === undefined || proof === authorization) return answer
    authorization = proof
    return send(method, path, accept)
  }

  const guarded = async <T>(task: () => Promise<T>): Promise<T> => {
    try {
      return await task()
    } catch (error) {
      signal.throwIfAborted()
      throw error instanceof ServerError ? error : unavailable(options, error)
    }
  }

  return {
    get: (path, accept) =>
      guarded(async () => {
        const answer = await request('GET', path, accept)
        if (answer.statusCode === 200) return answer
        answer.destroy()
        // Docker Hub says of what isn't there that one has to be somebody to see it.
        const isHidden = answer.statusCode === 401 && isAnonymous && host !== registry
        throw errorOf(isHidden ? 404 : (answer.statusCode ?? 0), options)
      }),
    has: (path) =>
      guarded(async () => {
        const answer = await request('HEAD', path, '*/*')
        answer.destroy()
        return answer.statusCode === 200
      }),
  }
}

type Method = 'GET' | 'HEAD'

interface Request {
  method: Method
  addresses: readonly string[]
  headers: Record<string, string>
  signal: AbortSignal
}

function ask(url: URL, { method, addresses, headers, signal }: Request): Promise<IncomingMessage> {
  const options = {
    lookup: pinnedLookup(addresses),
    signal,
    agent: false as const,
    method,
    headers,
    timeout: quietMs,
  }
  return new Promise((resolve, reject) => {
    const sent = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, resolve)
    sent.on('timeout', () => sent.destroy(new Error('The registry says nothing more.')))
    sent.on('error', reject)
    sent.end()
  })
}

/** Errors: `Error` for one that is longer than `maxBytes`. */
export async function textOf(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    if (bytes > maxBytes) throw new Error('The registry says more than is read.')
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

const isLoopback = (address: string) => /^(127\.|::1$)/.test(address)

function unencrypted({ host }: URL, { image, reference: { registry } }: RegistryClientOptions): ServerError {
  return new ServerError(
    'failed_precondition',
    `The image ${image} could not be pulled: ${registry} wants its password sent to ${host} without encryption, which this ` +
      'server does to no other machine.',
  )
}

export function unavailable(
  { image, reference: { registry } }: RegistryClientOptions,
  cause?: unknown,
): ServerError {
  return new ServerError(
    'unavailable',
    `The image ${image} could not be pulled: ${registry} does not answer.`,
    {
      cause,
    },
  )
}

function errorOf(status: number, options: RegistryClientOptions): ServerError {
  const { image, login, reference } = options
  const { registry } = reference
  const cause = new Error(`The registry answered ${status}.`)
  if (status === 401) {
    return new ServerError(
      'unauthenticated',
      login === undefined
        ? `The registry ${registry} gives ${image} to nobody without credentials. Name a user and a password for it.`
        : `The registry ${registry} refuses the credentials for ${image}. Check user name and password, and that they ` +
            'are for this registry.',
      { cause },
    )
  }
  if (status === 403) {
    return new ServerError(
      'forbidden',
      `The registry ${registry} does not let this account pull ${image}. Check its rights there.`,
      { cause },
    )
  }
  if (status === 404) return notFound(image, registry, cause)
  if (status === 429) {
    return new ServerError(
      'resource_exhausted',
      `${registry} gives this server no more images for now. Wait, give credentials, or use --registry-mirror.`,
      { cause },
    )
  }
  return unavailable(options, cause)
}

export function notFound(image: string, registry: string, cause?: unknown): ServerError {
  return new ServerError(
    'not_found',
    `${registry} has no image ${image}, or does not show it to this server.`,
    {
      cause,
    },
  )
}
