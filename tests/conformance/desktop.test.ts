/** The stock template `desktop` through `@e2b/desktop` as published: what programs show, and what they are told. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Sandbox } from '@e2b/desktop'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, shows } from '../support/desktop.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

const red = [255, 0, 0] as const
const green = [0, 255, 0] as const
const page = readFileSync(join(import.meta.dirname, '../support/inside/events.html'), 'utf8')

let server: SharedServer
let desktop: Sandbox
beforeAll(async () => {
  server = await joinSharedServer()
  desktop = await Sandbox.create({ timeoutMs: 600_000 })
})
afterAll(async () => {
  await desktop?.kill()
  await server[Symbol.asyncDispose]()
})

/** Waits until the window of a program is there and has the focus, and resolves with its id. */
async function focused(program: string): Promise<string> {
  return await eventually(async () => {
    const id = await desktop.getCurrentWindowId()
    expect(await desktop.getApplicationWindows(program)).toContain(id)
    return id
  })
}

test('a browser that is launched shows its page, which sees each click, drag, turn of the wheel and key', {
  timeout: 240_000,
}, async () => {
  await desktop.files.write('events.html', page)
  await desktop.launch('google-chrome', '/home/user/events.html')
  const { x, y } = await shows(desktop, red)
  const window = await focused('chromium')
  expect(await desktop.getWindowTitle(window)).toBe('ready - Chromium')
  /** The page says at last what has happened to it since its last word, `before`. */
  let before = ''
  const says = async (what: string) => {
    await eventually(async () =>
      expect(await desktop.getWindowTitle(window)).toBe(`${before}${what} - Chromium`),
    )
    before += `${what} `
  }

  await desktop.leftClick(x, y)
  await shows(desktop, green)
  await says('click')
  expect(await desktop.getCursorPosition()).toEqual({ x, y })
  await desktop.doubleClick(x + 30, y)
  await says('click click dblclick')
  await desktop.rightClick(x, y)
  await says('auxclick2')
  await desktop.middleClick()
  await says('auxclick1')
  await desktop.scroll('down', 2)
  await says('down down')
  await desktop.scroll('up')
  await says('up')
  await desktop.drag([x, y], [x + 40, y + 20])
  await says('drag40,20 click')
  await desktop.press(['ctrl', 'a'])
  await says('ctrl+a')
  await desktop.press('enter')
  await says('Enter')
  // A character that the keyboard lacks has a key only until the next: a browser that is behind looks too late.
  await desktop.write('aé日', { chunkSize: 25, delayInMs: 1_000 })
  await says('a é 日')
})

test('a terminal takes what is written, in every script, in pieces', { timeout: 120_000 }, async () => {
  await desktop.launch('xfce4-terminal')
  await focused('xfce4-terminal')
  const text = 'Grüße, "naïve" → 日本 € and some more that makes it long'
  await desktop.write(`cat > written.txt`)
  await desktop.press('enter')
  await eventually(async () => expect(await desktop.files.exists('written.txt')).toBe(true))
  await desktop.write(text, { chunkSize: 20, delayInMs: 20 })
  await desktop.press('Enter')
  await desktop.press(['ctrl', 'd'])
  await eventually(async () => expect(await desktop.files.read('written.txt')).toBe(`${text}\n`))
})

test('files and addresses open in the programs for them', { timeout: 120_000 }, async () => {
  await desktop.files.write('notes.txt', 'notes')
  await desktop.open('/home/user/notes.txt')
  const editor = await focused('mousepad')
  await eventually(async () => expect(await desktop.getWindowTitle(editor)).toContain('notes.txt'))
  await desktop.open('/home/user')
  await focused('thunar')
})

test('the stream starts and stops, with a key and without', { timeout: 120_000 }, async () => {
  const page = 'curl -sf http://localhost:6080/vnc.html'
  await desktop.stream.start()
  expect(desktop.stream.getUrl()).toBe(
    `https://${desktop.getHost(6080)}/vnc.html?autoconnect=true&resize=scale`,
  )
  expect((await desktop.commands.run(page)).stdout).toContain('noVNC')
  await expect(desktop.stream.start()).rejects.toThrow('Stream is already running')
  await desktop.stream.stop()
  await eventually(() => expect(desktop.commands.run(page)).rejects.toMatchObject({ exitCode: 7 }))
  await desktop.stream.start({ requireAuth: true })
  const authKey = desktop.stream.getAuthKey()
  expect(new URL(desktop.stream.getUrl({ authKey })).searchParams.get('password')).toBe(authKey)
  await desktop.stream.stop()
})

test('size, density and name of the screen are as asked for', {
  timeout: 120_000,
}, async () => {
  const other = await Sandbox.create('desktop', { resolution: [800, 600], dpi: 120, display: ':1' })
  try {
    expect(await other.getScreenSize()).toEqual({ width: 800, height: 600 })
    const { stdout } = await other.commands.run('xdpyinfo | grep -e resolution: -e "name of display"')
    expect(stdout.replaceAll(/ +/g, ' ')).toBe('name of display: :1\n resolution: 120x120 dots per inch\n')
  } finally {
    await other.kill()
  }
})
