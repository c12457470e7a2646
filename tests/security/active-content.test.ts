/** Files that a browser would run, by signed URLs under the name that the API is answered by. */
import { request } from 'node:http'
import { beforeAll, describe, expect, test } from 'vitest'
import { sign } from '../../src/auth/signature.ts'
import { attacked, attackersSandbox } from './support/attacked.ts'

const { url, attacker } = attacked()
const script = '<script>fetch("/v2/sandboxes")</script>'

/** By name, and whether a browser would act on what it is or is taken for. */
const files: Record<string, { acts: boolean; content: string }> = {
  'page.html': { acts: true, content: script },
  'PAGE.HTM': { acts: true, content: script },
  'drawing.svg': { acts: true, content: `<svg xmlns="http://www.w3.org/2000/svg">${script}</svg>` },
  'feed.xml': { acts: true, content: '<?xml-stylesheet href="/x.xsl"?><a/>' },
  'code.js': { acts: true, content: 'fetch("/v2/sandboxes")' },
  'code.mjs': { acts: true, content: 'fetch("/v2/sandboxes")' },
  'style.css': { acts: true, content: '* { background: url(/v2/sandboxes) }' },
  'paper.pdf': { acts: true, content: '%PDF-1.4 /JavaScript' },
  'module.wasm': { acts: true, content: '\0asm' },
  'page.txt': { acts: false, content: script },
  'page.json': { acts: false, content: script },
  'page.png': { acts: false, content: script },
  page: { acts: false, content: script },
  'page.xhtml': { acts: false, content: script },
  'page.html.bin': { acts: false, content: script },
  'a"; filename=b.html': { acts: true, content: script },
  'line\nbreak: x.html': { acts: true, content: script },
}

beforeAll(async () => {
  const sandbox = await attackersSandbox()
  // By its own program, as a form would change some of the names.
  await sandbox.files.write('files.json', JSON.stringify(files))
  const program =
    'import json\nfor name, file in json.load(open("files.json")).items(): open(name, "w").write(file["content"])'
  await sandbox.commands.run(`python3 -c '${program}'`)
}, 60_000)

/** The headers of an answer as they are on the wire. */
function headersOf(method: string, path: string, more: Record<string, string> = {}) {
  const { hostname, port } = new URL(url)
  const signature = sign({ path, operation: 'read', username: 'user' }, attacker.token)
  const query = new URLSearchParams({ path, username: 'user', signature })
  return new Promise<{ status: number; headers: Record<string, unknown> }>((resolve, reject) => {
    const sent = request({ hostname, port, method, path: `/files?${query}`, headers: more, agent: false })
    sent.on('error', reject)
    sent.on('response', (res) => {
      res.resume()
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers }))
    })
    sent.end()
  })
}

const asked: [string, string, Record<string, string>][] = [
  ['GET', 'as a page', { accept: 'text/html' }],
  ['GET', 'in part', { range: 'bytes=0-3' }],
  ['HEAD', 'its headers alone', {}],
  ['GET', 'as a service worker', { 'service-worker': 'script', 'sec-fetch-dest': 'serviceworker' }],
]

describe.each(Object.entries(files))('%j', (name, { acts }) => {
  test.each(asked)('%s, %s: runs nowhere', async (method, _how, more) => {
    const { status, headers } = await headersOf(method, `/home/user/${name}`, more)
    expect([200, 206]).toContain(status)
    expect(headers).toMatchObject({
      'content-security-policy': 'sandbox',
      'x-content-type-options': 'nosniff',
      'content-disposition': expect.stringMatching(
        acts ? /^attachment; filename/ : /^(inline|attachment); filename/,
      ),
    })
    if (!acts) expect(headers['content-type']).not.toMatch(/html|xml|svg|script|css|pdf|wasm/)
    expect(headers).not.toHaveProperty('set-cookie')
    expect(headers).not.toHaveProperty('service-worker-allowed')
  })
})
