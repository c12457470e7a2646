import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { parseEnv } from 'node:util'
import { describe, expect, test } from 'vitest'
import { envFormats } from './env-formats.ts'

const values = [
  'e2b_0123456789abcdef',
  'http://127.0.0.1:3000',
  '/var/lib/e2b-server/tls/e2b.local/ca.pem',
  'with space',
  "it's",
  '$HOME `id` $(id) "double"',
  'back\\slash\\',
  '‘typographic’ ‚quotes‛',
  '#not a comment; & | > < * ?',
]
const text = (format: string, variables: Record<string, string | null>) =>
  envFormats[format]!(variables).join('\n')

/** Runs a shell that is to print X's value, or `unset`. */
function run(program: string, args: string[]): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, SHLVL: '1', X: 'before' },
  })
}

function has(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))
}

describe('sh', () => {
  const shells = ['sh', 'bash', 'dash', 'zsh', 'ksh'].filter(has)
  test.each(shells)('%s reads every value as it is, and what must not be set is not', (shell) => {
    expect(shells).toContain('sh')
    for (const value of values) {
      expect(run(shell, ['-c', `eval "$1"; printf %s "$X"`, shell, text('sh', { X: value })])).toBe(value)
    }
    const unset = run(shell, [
      '-c',
      'eval "$1"; env | grep -q ^X= || printf unset',
      shell,
      text('sh', { X: null }),
    ])
    expect(unset).toBe('unset')
  })
})

describe('dotenv', () => {
  test.each(values)('Node.js reads %s as it is', (value) => {
    expect(parseEnv(text('dotenv', { X: value }))).toEqual({ X: value })
  })

  test('what is usual has no quotes, as some readers keep them; what must not be set is a comment', () => {
    expect(text('dotenv', { X: 'http://127.0.0.1:3000', Y: null })).toBe(
      'X=http://127.0.0.1:3000\n# Y must not be set.',
    )
  })
})

test('json is one object', () => {
  expect(JSON.parse(text('json', { X: values[5]!, Y: null }))).toEqual({ X: values[5], Y: null })
})

/**
 * A quoted string as the shell's manual says: fish takes a backslash before a quote or another backslash, PowerShell a
 * quote of any kind twice. Throws where the string ends early.
 */
function unquote(quoted: string, inner: RegExp, escaped: RegExp): string {
  const body = /^'(.*)'$/su.exec(quoted)?.[1]
  if (body === undefined || !inner.test(body)) throw new Error(`not one string: ${quoted}`)
  return body.replaceAll(escaped, '$1')
}

describe('fish', () => {
  test.each(values)('%s', (value) => {
    const line = text('fish', { X: value })
    expect(line.startsWith('set -gx X ')).toBe(true)
    expect(unquote(line.slice('set -gx X '.length), /^(?:[^'\\]|\\['\\])*$/su, /\\(['\\])/gu)).toBe(value)
    if (has('fish')) expect(run('fish', ['-c', `${line}\nprintf %s "$X"`])).toBe(value)
  })

  test('what must not be set', () => {
    expect(text('fish', { X: null })).toBe('set -e X')
  })
})

describe('powershell', () => {
  test.each(values)('%s', (value) => {
    const line = text('powershell', { X: value })
    expect(line.startsWith('$Env:X = ')).toBe(true)
    const quoted = line.slice('$Env:X = '.length)
    expect(unquote(quoted, /^(?:[^'‘’‚‛]|(['‘’‚‛])\1)*$/su, /(['‘’‚‛])\1/gu)).toBe(value)
    if (has('pwsh')) {
      expect(run('pwsh', ['-NoProfile', '-Command', `${line}; [Console]::Write($Env:X)`])).toBe(value)
    }
  })

  test('what must not be set', () => {
    expect(text('powershell', { X: null })).toBe('Remove-Item -ErrorAction SilentlyContinue Env:X')
  })
})
