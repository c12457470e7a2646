/** A real browser, and curl, on `getHost()`: what a person sees of a server inside a sandbox. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from 'esbuild'
import type { Page, Response } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  authorityOf,
  launchBrowser,
  open,
  retryMs,
  scheme,
  type TestBrowser,
  triesMax,
} from '../support/browser.ts'
import { isDomainMode, testDomain } from '../support/mode.ts'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { startWebServer } from '../support/web-server.ts'

let server: SharedServer
let sandbox: Sandbox
let browser: TestBrowser
beforeAll(async () => {
  server = await joinSharedServer()
  sandbox = await sdks[0]!.sdk.Sandbox.create({ timeoutMs: 600_000 })
  await startWebServer(sandbox, 3000, sandbox.sandboxId)
  browser = await launchBrowser(server.stateDir)
})
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await sandbox?.kill()
  await server[Symbol.asyncDispose]()
})

/** The page has said what came over its own connections. */
const isComplete = `document.body.textContent.startsWith('{"who"')`
/** How long a page may take for what it does by itself, in milliseconds */
const completeMs = 8_000

/** As `open`, until `script` is true in the page: its own connections are broken off as well, and it doesn't try again. */
async function openUntil(page: Page, url: string, script: string): Promise<Response | null> {
  for (let tries = 10; ; tries--) {
    const answer = await open(page, url)
    try {
      await page.waitForFunction(script, undefined, { timeout: completeMs })
      return answer
    } catch (error) {
      if (tries === 1) throw error
    }
  }
}

test('a page, its WebSocket and its event stream', { timeout: 180_000 }, async () => {
  const page = await browser.context.newPage()
  const answer = await openUntil(page, `${scheme}://${sandbox.getHost(3000)}/`, isComplete)
  expect(answer?.status()).toBe(200)
  const issuer = { issuer: expect.stringContaining('e2b-server') }
  if (isDomainMode) expect(await answer?.securityDetails()).toMatchObject(issuer)
  expect(JSON.parse((await page.textContent('body')) ?? '')).toEqual({
    who: sandbox.sandboxId,
    protocol: `${scheme}:`,
    secure: true,
    events: ['0', '1', '2'],
    echo: 'from the page',
  })
  const protocol = await page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
  expect(protocol).toBe(isDomainMode ? 'h2' : 'http/1.1')
})

test('a closed port and a sandbox that is not there have pages', async () => {
  const page = await browser.context.newPage()
  expect((await open(page, `${scheme}://${sandbox.getHost(3999)}/`))?.status()).toBe(502)
  expect(await page.textContent('h1')).toBe('Port Not Open')
  const gone = sandbox.getHost(3000).replace(sandbox.sandboxId, 'i0123456789abcdefghij')
  expect((await open(page, `${scheme}://${gone}/`))?.status()).toBe(502)
  expect(await page.textContent('h1')).toBe('Sandbox Not Found')
})

test('curl opens it as it is', () => {
  const trust = isDomainMode ? ['--cacert', authorityOf(server.stateDir)] : []
  const url = `${scheme}://${sandbox.getHost(3000)}/who`
  expect(execFileSync('curl', ['-sSf', ...trust, url]).toString()).toBe(sandbox.sandboxId)
})

/** The published SDK as a bundler makes it for a page; what it has for Node.js only is left out. */
async function sdkForPages(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: "export { Sandbox } from 'e2b'", resolveDir: import.meta.dirname },
    bundle: true,
    format: 'iife',
    globalName: 'e2b',
    platform: 'browser',
    write: false,
    plugins: [
      {
        name: 'without-node',
        setup(build) {
          build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'node' }))
          build.onLoad({ filter: /.*/, namespace: 'node' }, () => ({ contents: 'module.exports = {}' }))
        },
      },
    ],
  })
  return outputFiles[0]!.text
}

/**
 * Runs the body of an async function with `options`, those that point the SDK at the server, in a page; again where the
 * browser broke off what it loaded, as in `open`.
 */
async function inPage(page: Page, body: string): Promise<unknown> {
  const address = isDomainMode
    ? { domain: testDomain }
    : { apiUrl: `${server.url}/`, sandboxUrl: `${server.sandboxUrl}/` }
  const options = JSON.stringify({ apiKey: server.apiKey, ...address })
  for (let tries = triesMax; ; tries--) {
    try {
      return await page.evaluate(`(async (options) => {${body}})(${options})`)
    } catch (error) {
      if (tries === 1 || !/Failed to fetch|network error/i.test(String(error))) throw error
      await sleep(retryMs)
    }
  }
}

test('a page of another site uses the SDK: the API, envd, and what they refuse', {
  timeout: 180_000,
}, async () => {
  const page = await browser.context.newPage()
  await open(page, `${scheme}://${sandbox.getHost(3000)}/who`)
  await page.addScriptTag({ content: await sdkForPages() })
  const made = await inPage(
    page,
    `const sandbox = await e2b.Sandbox.create({ ...options, timeoutMs: 120_000, metadata: { of: 'page' } })
    await sandbox.files.write('x.txt', 'from a page')
    const { stdout } = await sandbox.commands.run('cat x.txt')
    const url = await sandbox.downloadUrl('x.txt')
    const downloaded = await (await fetch(url)).text()
    const runs = await sandbox.isRunning()
    const pages = e2b.Sandbox.list({ ...options, limit: 1 })
    await pages.nextItems()
    const hasMore = pages.hasNext
    await sandbox.kill()
    const ran = await sandbox.isRunning()
    return { stdout, downloaded, runs, hasMore, ran }`,
  )
  expect(made).toEqual({
    stdout: 'from a page',
    downloaded: 'from a page',
    runs: true,
    hasMore: true,
    ran: false,
  })
  const refused = await inPage(
    page,
    `return await e2b.Sandbox.create({ ...options, apiKey: 'e2b_0123' }).catch((error) => error.name)`,
  )
  expect(refused).toBe('AuthenticationError')
})
