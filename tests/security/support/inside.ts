/** Attempts inside a sandbox, by its root: all of a list in one command. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sandbox } from 'e2b'
import { attackersSandbox } from './attacked.ts'

const source = readFileSync(join(import.meta.dirname, 'inside/attempts.py'), 'utf8')

/**
 * What each Python expression (see inside/attempts.py) came to, in their order; by the root of the attacker's sandbox unless
 * another is given.
 */
export async function attemptInside(
  expressions: readonly string[],
  { sandbox, user = 'root' }: { sandbox?: Sandbox; user?: 'root' | 'user' } = {},
): Promise<string[]> {
  const tried = sandbox ?? (await attackersSandbox())
  const list = `/tmp/attempts-${user}.json`
  await tried.files.write([
    { path: '/tmp/attempts.py', data: source },
    { path: list, data: JSON.stringify(expressions) },
  ])
  const { stdout } = await tried.commands.run(`python3 /tmp/attempts.py < ${list}`, {
    user,
    timeoutMs: 150_000,
    requestTimeoutMs: 150_000,
  })
  return JSON.parse(stdout) as string[]
}
