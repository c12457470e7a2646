/** How the SDKs under test find the server: `npm test -- --mode` chooses, scripts/test/domain-mode.mjs prepares. */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asidePrefix } from '../../src/lib/resolv-conf.ts'

/**
 * A domain and addresses that only the name space of a run in domain mode knows: the one of the server that files share,
 * and that of a file's own.
 */
export const testDomain = 'e2b.local'
const sharedAddress = '127.53.0.1'
export const ownAddress = '127.53.0.2'

/** The port that SDKs have built in for their debug mode (e2b-wire 1.6). */
const debugPort = '49983'

export const isDomainMode = process.env.E2B_TEST_MODE === 'domain'
/** There is one sandbox then, which every `create` gives and no `kill` ends. */
export const isDebugMode = process.env.E2B_TEST_MODE === 'debug'

/** Flags that make a server fit the mode. `port`: where there are no names to find it by. */
export function modeFlags(port: string, { isShared }: { isShared: boolean }): string[] {
  if (isDebugMode) return ['--port', port, '--debug-port', debugPort]
  if (!isDomainMode) return ['--port', port, '--debug-port', '0']
  const address = isShared ? sharedAddress : ownAddress
  const names = ['--host', address, '--domain', testDomain, '--tls', '--dns', `${address}:53`]
  return [...names, '--debug-port', '0']
}

/**
 * Has the system's resolver ask the server that files share, or the own one of the file that runs, as `domain on` does: with
 * the name servers that were there set aside.
 */
export function pointResolverAt({ isShared }: { isShared: boolean }): void {
  const { E2B_TEST_RESOLV_CONF: file, E2B_TEST_RESOLV_CONF_BEFORE: before = '' } = process.env
  if (file === undefined) return
  const aside = before.split('\n').filter((line) => line.startsWith('nameserver'))
  const lines = [
    `nameserver ${isShared ? sharedAddress : ownAddress}`,
    ...aside.map((line) => `${asidePrefix(testDomain)}${line}`),
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
}

/** Gives a new state directory the authority that this process trusts since its start. */
export function prepareState(stateDir: string): void {
  const prepared = process.env.E2B_TEST_CA
  if (isDomainMode && prepared !== undefined) {
    cpSync(prepared, join(stateDir, 'tls', testDomain), { recursive: true })
  }
}

/** Points this process's E2B SDKs at a server. */
export function pointSdksAt(url: string, apiKey: string): void {
  for (const name of ['E2B_DEBUG', 'E2B_DOMAIN', 'E2B_API_URL', 'E2B_SANDBOX_URL', 'E2B_API_KEY'])
    delete process.env[name]
  if (isDebugMode) {
    process.env.E2B_DEBUG = 'true'
    return
  }
  process.env.E2B_API_KEY = apiKey
  if (isDomainMode) process.env.E2B_DOMAIN = testDomain
  else {
    process.env.E2B_API_URL = url
    process.env.E2B_SANDBOX_URL = url
  }
}

/** Where requests for sandboxes go that name them by headers. */
export function sharedUrl(url: string): string {
  return isDomainMode ? `https://sandbox.${testDomain}` : url
}
