/** The stream of a desktop in a real browser, over HTTPS: what it shows, what it takes, and to whom. */
import { join } from 'node:path'
import { Sandbox } from '@e2b/desktop'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { launchBrowser, open, type TestBrowser } from '../../support/browser.ts'
import { areaOf, eventually, shows } from '../../support/desktop.ts'
import { startCheck } from '../../support/framework-checks.ts'
import { joinSharedServer, type SharedServer } from '../../support/shared-server.ts'

const red = [255, 0, 0] as const
const green = [0, 255, 0] as const
const blue = [0, 0, 255] as const

let server: SharedServer
let desktop: Sandbox
let browser: TestBrowser
beforeAll(async () => {
  server = await joinSharedServer()
  desktop = await Sandbox.create({ timeoutMs: 600_000 })
  browser = await launchBrowser(server.stateDir)
  // Two terminals, one partly above the other; each says in a file what is typed into it.
  await openTerminal('red', '#ff0000', '60x20+0+60')
  await shows(desktop, red)
  await openTerminal('blue', '#0000ff', '60x20+200+200')
  await shows(desktop, blue)
})
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]()
  await desktop?.kill()
  await server[Symbol.asyncDispose]()
})

afterEach(async () => {
  for (const page of browser.context.pages()) await page.close()
  await desktop.stream.stop()
})

async function openTerminal(name: string, colour: string, geometry: string): Promise<void> {
  const look = `--title=${name} --color-bg='${colour}' --geometry=${geometry} --hide-menubar --hide-scrollbar`
  const command = `xfce4-terminal --disable-server ${look} --command 'sh -c "cat > ${name}.txt"'`
  await desktop.commands.run(command, { background: true, timeoutMs: 0 })
}

/** The picture that noVNC has on its canvas, as PNG. */
async function picture(page: Page): Promise<Buffer> {
  const url = await page.evaluate("document.querySelector('#noVNC_container canvas').toDataURL('image/png')")
  return Buffer.from(String(url).replace(/^[^,]*,/, ''), 'base64')
}

/** Opens a stream, again where the browser has broken off its connection, and waits until it shows that colour. */
async function watch(url: string, colour: readonly [number, number, number]): Promise<Page> {
  const page = await browser.context.newPage()
  page.setDefaultTimeout(10_000)
  await open(page, url)
  await eventually(async () => {
    const isConnected = await page.evaluate("document.documentElement.classList.contains('noVNC_connected')")
    if (!isConnected) await open(page, url)
    await page.waitForSelector('html.noVNC_connected', { timeout: 10_000 })
    expect(areaOf(await picture(page), colour).count).toBeGreaterThan(50_000)
  })
  return page
}

test('the stream shows the desktop, and takes mouse and keys', { timeout: 180_000 }, async () => {
  await desktop.stream.start()
  const page = await watch(desktop.stream.getUrl(), blue)
  expect(await page.evaluate('location.protocol')).toBe('https:')
  const shown = await picture(page)
  const sizeOfPicture = [shown.readUInt32BE(16), shown.readUInt32BE(20)]
  expect(sizeOfPicture).toEqual([1024, 768])
  // But for a cursor that blinks.
  const taken = areaOf(await desktop.screenshot(), red)
  expect(Math.abs(areaOf(shown, red).count - taken.count)).toBeLessThan(2_000)

  // The red window has a corner of its own; a click there raises it, and gives it the keys. Again where the browser has
  // broken off its connection meanwhile.
  await eventually(async () => {
    const again = await watch(desktop.stream.getUrl(), red)
    const canvas = again.locator('#noVNC_container canvas')
    const box = (await canvas.boundingBox())!
    await canvas.click({ position: { x: (40 * box.width) / 1024, y: (150 * box.height) / 768 } })
    expect(await desktop.getWindowTitle(await desktop.getCurrentWindowId())).toBe('red')
    await again.keyboard.type('from a browser\n', { delay: 20 })
    expect(await desktop.files.read('red.txt')).toContain('from a browser\n')
  })
})

test('the stream of a window has its pixels alone, also those that another window covers', {
  timeout: 180_000,
}, async () => {
  const { stdout } = await desktop.commands.run("xdotool search --onlyvisible --name '^blue$'")
  const windowId = stdout.trim()
  await desktop.stream.start({ windowId })
  const page = await watch(desktop.stream.getUrl(), blue)
  expect(areaOf(await picture(page), red).count).toBe(0)
})

/** A stream refuses whoever comes with another key. */
async function refused(url: string): Promise<void> {
  const stranger = await browser.context.newPage()
  await eventually(async () => {
    await open(stranger, url)
    await stranger.waitForSelector('#noVNC_status:has-text("password check failed")', { timeout: 10_000 })
  })
  expect(await stranger.locator('#noVNC_container canvas').count()).toBe(0)
}

test('e2b-desktop (Python): its own desktop takes mouse and keys, and streams with a key and without', {
  timeout: 240_000,
}, async () => {
  const script = join(import.meta.dirname, '../frameworks/domain/e2b-desktop.check.py')
  const page = join(import.meta.dirname, '../../support/inside/events.html')
  await using check = startCheck('frameworks/e2b-desktop', script, [page])
  await watch(JSON.parse(await check.says()).url, green)
  check.answer('opened')
  const { url, closed } = JSON.parse(await check.says())
  await refused(closed)
  await watch(url, green)
  check.answer('opened')
  expect(await check.says()).toBe('all done')
})

// Last: the SDK asks for a key ever after.
test('a stream with a key shows itself to those who have it', { timeout: 180_000 }, async () => {
  await desktop.stream.start({ requireAuth: true })
  await refused(desktop.stream.getUrl({ authKey: 'another' }))
  await watch(desktop.stream.getUrl({ authKey: desktop.stream.getAuthKey() }), red)
})
