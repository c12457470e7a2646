/** The port of programs with E2B_DEBUG=true takes those of this machine only, not what web pages make a browser ask. */
import { expect, test } from 'vitest'
import { ask } from './support/ask.ts'
import { attacked } from './support/attacked.ts'

const url = `http://127.0.0.1:${attacked().debugPort}`
const host = `localhost:${attacked().debugPort}`

test.each<[string, Record<string, string>]>([
  ['a page of another site', { host, origin: 'https://example.com' }],
  ['a page without an origin', { host, origin: 'null' }],
  ['a page of a name that begins as ours', { host, origin: 'http://localhost.example.com' }],
  ['a page of a name that ends as ours', { host, origin: 'http://notlocalhost' }],
  ['a page with our name as its user', { host, origin: 'http://localhost@example.com' }],
  [
    'an image on a page of another site',
    { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  ],
  [
    'a link on a page of another site',
    { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  ],
  [
    'a script on a page of another port',
    { host, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
  ],
  ['a rebound name', { host: 'example.com:49983' }],
  ['a name that looks like an address', { host: '127.0.0.1.example.com' }],
  ['a name that begins as an address', { host: '127.example.com' }],
  ['the unspecified address', { host: '0.0.0.0:49983' }],
  ['an address of the network', { host: '192.168.1.1' }],
])('%s is refused', async (_name, headers) => {
  const { status } = await ask('GET /files?path=/etc/passwd', { url, headers })
  expect([400, 403]).toContain(status)
})
