/**
 * Makes sure that asking a registry leads to the internet, or to private ranges that the operator has opened: whoever may name
 * images must not look around in the server's networks by the answers, nor have requests made there.
 */
import { lookup } from 'node:dns/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { ServerError } from '../domain/error.ts'
import { abortable } from '../lib/deadline.ts'
import { linkSignals } from '../lib/linked-signal.ts'
import { closedRanges, createRanges } from '../network/ranges.ts'

/** How long a registry may take to say whom it sends clients to, in milliseconds */
const answerMs = 10_000
/** Redirects that are looked at; the engine follows as many. */
const redirectsMax = 10

/**
 * The registry's own address is checked, and where its first answer sends the engine: by redirects, or to get a token. A
 * registry that lies here, or later redirects elsewhere, can still have the engine, which makes its requests by itself, ask
 * inner addresses blindly: what these answer is shown to nobody. Errors: `forbidden`, those of the signal.
 */
export async function checkRegistry(
  registry: string,
  allow: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const check = createAddressCheck(registry, allow, signal)
  await check(registry.replace(/:\d+$/, ''), `The registry ${registry}`)
  const bounded = linkSignals([signal], answerMs)
  try {
    // As the engine does it: without TLS where there is none.
    for (const protocol of ['https', 'http']) {
      if (await lookAtAnswer(new URL(`${protocol}://${registry}/v2/`), check, bounded.signal)) return
    }
  } catch (error) {
    signal.throwIfAborted()
    // One that doesn't answer is the engine's to say.
    if (error instanceof ServerError) throw error
  } finally {
    bounded.dispose()
  }
}

/** Resolves with the addresses of a host, all of them allowed. Errors: `forbidden`, naming `what`. */
export type AddressCheck = (host: string, what: string) => Promise<string[]>

/** `registry`: on whose account hosts are asked. */
export function createAddressCheck(
  registry: string,
  allow: readonly string[],
  signal: AbortSignal,
): AddressCheck {
  const [closed, opened] = [closedRanges(), createRanges(allow)]
  return async (host, what) => {
    const addresses = await abortable(addressesOf(host), signal)
    if (addresses.every((address) => !closed.has(address) || opened.has(address))) return addresses
    throw new ServerError(
      'forbidden',
      `${what} is in a private network. The server asks ${registry} for images once its operator opens that range with ` +
        '--registry-allow.',
    )
  }
}

/** None for a name that isn't found: the engine says so then. */
export async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host]
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.map(({ address }) => address)
}

/** False where nobody answers. Errors: those of `check`. */
async function lookAtAnswer(start: URL, check: AddressCheck, signal: AbortSignal): Promise<boolean> {
  let url = start
  for (let redirects = 0; redirects <= redirectsMax; redirects++) {
    const addresses = await check(hostOf(url), `The address that ${start.host} redirects to`)
    const answer = await ask(url, addresses, signal).catch(() => undefined)
    if (answer === undefined) return redirects > 0
    for (const realm of realmsOf(answer))
      await check(hostOf(realm), `The address where ${start.host} has its tokens fetched, ${realm.host},`)
    const target = answer.statusCode! >= 300 && answer.statusCode! < 400 ? answer.headers.location : undefined
    if (target === undefined || !URL.canParse(target, url.href)) break
    url = new URL(target, url)
  }
  return true
}

/** Without the brackets of IPv6. */
export const hostOf = ({ hostname }: URL) => hostname.replace(/^\[|\]$/g, '')

/** The head of an answer. Nothing secret is sent and nothing of the body is read, so the certificate doesn't matter. */
function ask(url: URL, addresses: string[], signal: AbortSignal): Promise<IncomingMessage> {
  const options = { lookup: pinnedLookup(addresses), signal, agent: false, rejectUnauthorized: false }
  return new Promise((resolve, reject) => {
    const sent = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, (answer) => {
      resolve(answer)
      answer.destroy()
    })
    sent.on('error', reject)
    sent.on('upgrade', (answer, socket) => {
      socket.destroy()
      resolve(answer)
    })
    sent.end()
  })
}

/** Connects to these addresses, whatever the name leads to by now. */
export function pinnedLookup(addresses: readonly string[]): LookupFunction {
  return (_host, options, callback) => {
    const all = addresses.map((address) => ({ address, family: isIP(address) }))
    const [first] = all
    if (first === undefined) callback(new Error('no such name'), '')
    else if (options.all) callback(null, all)
    else callback(null, first.address, first.family)
  }
}

/** Where the challenges of an answer have tokens fetched. The realm of others, as of `Basic`, is a text and no address. */
function realmsOf({ headersDistinct }: IncomingMessage): URL[] {
  const challenges = (headersDistinct['www-authenticate'] ?? []).join(', ')
  const realms = challenges.matchAll(/\brealm\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/gi)
  return [...realms].flatMap(([, quoted, plain]) => {
    const text = (quoted ?? plain ?? '').replace(/\\(.)/g, '$1')
    const url = URL.canParse(text) ? new URL(text) : undefined
    return url !== undefined && /^https?:$/.test(url.protocol) ? [url] : []
  })
}
