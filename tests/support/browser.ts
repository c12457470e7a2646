/** A real browser, as a person has it, for what sandboxes serve. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BrowserContext, chromium, type Page, type Response } from 'playwright-core'
import { isDomainMode, testDomain } from './mode.ts'

export interface TestBrowser extends AsyncDisposable {
  readonly context: BrowserContext
}

export const scheme = isDomainMode ? 'https' : 'http'

/** Where a server with that state has its authority's certificate. */
export const authorityOf = (stateDir: string): string => join(stateDir, 'tls', testDomain, 'ca.pem')

/** Starts Chromium with a profile of its own, which trusts the server of that state where the mode has names. */
export async function launchBrowser(stateDir: string): Promise<TestBrowser> {
  await networkSettles()
  const home = mkdtempSync(join(tmpdir(), 'e2b-browser-'))
  if (isDomainMode) trustAuthority(home, stateDir)
  const context = await chromium.launchPersistentContext(join(home, 'profile'), {
    executablePath: '/usr/bin/chromium',
    env: { ...process.env, HOME: home } as Record<string, string>,
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  })
  return {
    context,
    async [Symbol.asyncDispose]() {
      await context.close()
      rmSync(home, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** How often, and after which pause in milliseconds, the browser tries what it has broken off itself. */
export const triesMax = 30
export const retryMs = 200

/** Makes the server's authority one of the browser's, as a person would in its settings. */
function trustAuthority(folder: string, stateDir: string): void {
  const database = join(folder, '.pki', 'nssdb')
  mkdirSync(database, { recursive: true })
  const certutil = (...args: string[]) => execFileSync('certutil', ['-d', `sql:${database}`, ...args])
  certutil('-N', '--empty-password')
  certutil('-A', '-n', 'e2b-server', '-t', 'C,,', '-i', authorityOf(stateDir))
}

/**
 * Gives the interface of the sandbox time to have its addresses: Chromium takes one that appears for another network, and
 * breaks off what it loads. Interfaces of other programs may come and go all the time, so it isn't waited for for ever.
 */
async function networkSettles(): Promise<void> {
  const list = '/proc/net/if_inet6'
  const tentative = 0x40
  if (!existsSync(list)) return
  for (let tries = 100; tries > 0; tries--) {
    const addresses = readFileSync(list, 'utf8').trim().split('\n')
    if (!addresses.some((line) => Number(`0x${line.split(/ +/)[4]}`) & tentative)) return
    await sleep(100)
  }
}

/**
 * Opens a URL. Containers of other programs on the machine come and go with their network interfaces, and Chromium
 * breaks off what it loads meanwhile: only then it is loaded again, as a person would.
 */
export async function open(page: Page, url: string): Promise<Response | null> {
  for (let tries = triesMax; ; tries--) {
    try {
      return await page.goto(url)
    } catch (error) {
      // Its page about that may come when the next try is under way.
      const isBrokenOff = /ERR_NETWORK_CHANGED|interrupted by another navigation/.test(String(error))
      if (tries === 1 || !isBrokenOff) throw error
      await sleep(retryMs)
    }
  }
}
