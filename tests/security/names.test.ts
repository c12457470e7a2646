/** Names that would lead to something else than a template or a snapshot of one's own. */
import { describe, expect, test } from 'vitest'
import { ask } from './support/ask.ts'
import { attacked } from './support/attacked.ts'

const { attackerKey, attacker } = attacked()
const headers = { 'x-api-key': attackerKey }

describe('no template', () => {
  test.each([
    'ubuntu:latest',
    'docker.io/library/alpine',
    'alpine@sha256:0000000000000000000000000000000000000000000000000000000000000000',
    'localhost:5000/base',
    'e2b-server/base',
    '../base',
    'base/../base',
    '/etc/passwd',
    'base\0',
    'base ',
    'BASE\u0130',
    'base:',
    ':base',
    'base:a:b',
    'base;id',
    '$(id)',
    '__proto__',
    'constructor',
    'server/secret-snapshot',
    'secret-snapshot',
    'x'.repeat(5_000),
  ])('%j', async (templateID) => {
    const { status, text } = await ask('POST /sandboxes', { headers, body: JSON.stringify({ templateID }) })
    expect([400, 403, 404], text).toContain(status)
  })
})

describe('no name of a snapshot', () => {
  test.each([
    'server/mine',
    'other-team/mine',
    '../mine',
    'a/b/c',
    'mine\0',
    'mine;id',
    'MINE\u0000x',
    'a:b:c',
    '',
    'x'.repeat(5_000),
  ])('%j', async (name) => {
    const what = `POST /sandboxes/${attacker.id}/snapshots`
    const { status, text } = await ask(what, { headers, body: JSON.stringify({ name }) })
    expect([400, 403, 404], text).toContain(status)
  })
})
