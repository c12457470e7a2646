import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { ServerError } from '../../domain/error.ts'
import { abortable } from '../../lib/deadline.ts'
import { closedRanges, createRanges } from '../../network/ranges.ts'

/**
 * Makes sure that asking a registry leads to the internet, or to a private range that the operator has opened: whoever may
 * name images must not look around in the server's networks by the answers. Errors: `forbidden`, those of the signal.
 */
export async function checkRegistry(
  registry: string,
  allow: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const host = registry.replace(/:\d+$/, '')
  const [closed, opened] = [closedRanges(), createRanges(allow)]
  for (const address of await abortable(addressesOf(host), signal)) {
    if (!closed.has(address) || opened.has(address)) continue
    throw new ServerError(
      'forbidden',
      `The registry ${registry} is in a private network. The server asks it for images once its operator opens that ` +
        'range with --registry-allow.',
    )
  }
}

/** None for a name that isn't found: the engine says so then. */
async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host]
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.map(({ address }) => address)
}
