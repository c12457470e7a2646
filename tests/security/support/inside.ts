/** Attempts inside a sandbox, by its root: all of a list in one command. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sandbox } from 'e2b'
import { attackersSandbox } from './attacked.ts'

const source = readFileSync(join(import.meta.dirname, 'inside/attempts.py'), 'utf8')

/** What each Python expression (see inside/attempts.py) came to in the attacker's sandbox, in their order. */
export async function attemptInside(expressions: readonly string[]): Promise<string[]> {
  const sandbox: Sandbox = await attackersSandbox()
  await sandbox.files.write([
    { path: '/tmp/attempts.py', data: source },
    { path: '/tmp/attempts.json', data: JSON.stringify(expressions) },
  ])
  const { stdout } = await sandbox.commands.run('python3 /tmp/attempts.py < /tmp/attempts.json', {
    user: 'root',
    timeoutMs: 150_000,
    requestTimeoutMs: 150_000,
  })
  return JSON.parse(stdout) as string[]
}
