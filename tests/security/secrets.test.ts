/** Keys and tokens are where they belong and nowhere else. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { describe, expect, test } from 'vitest'
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import { attacked, victimsSandbox } from './support/attacked.ts'

const { stateDir, pid, victimKey, attackerKey, adminToken, victim, attacker } = attacked()
const secrets = {
  victimKey,
  attackerKey,
  adminToken,
  victimToken: victim.token,
  attackerToken: attacker.token,
}
const names = Object.keys(secrets) as (keyof typeof secrets)[]

function expectNone(text: string, allowed: string[] = []): void {
  for (const name of names)
    if (!allowed.includes(name)) expect(text.includes(secrets[name]), name).toBe(false)
}

/** What the helper has written down of a guest. Its disk is what the guest has written. */
function recordOf(sandboxId: string): string {
  const folder = join(stateDir, 'native/guests', sandboxId)
  const files = readdirSync(folder, { withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name !== 'disk',
  )
  expect(files.length).toBeGreaterThan(0)
  return files.map(({ name }) => readFileSync(join(folder, name), 'utf8')).join('\n')
}

/** What the engine tells of a container. */
async function containerOf(sandboxId: string): Promise<string> {
  const docker = new Docker()
  const filters = { label: [`e2b-server.sandbox=${sandboxId}`] }
  const [container] = await docker.listContainers({ all: true, filters })
  return JSON.stringify(await docker.getContainer(container!.Id).inspect())
}

describe('no secret is in', () => {
  test('the list of processes', async () => {
    expectNone((await promisify(execFile)('ps', ['-eo', 'args'], { maxBuffer: 1 << 26 })).stdout)
  })

  test('the environment of the server', () => {
    expectNone(readFileSync(`/proc/${pid}/environ`, 'utf8'))
  })

  test('what the runtime keeps of its sandboxes', async () => {
    for (const { id } of [victim, attacker]) {
      expectNone(testedRuntime() === 'native' ? recordOf(id) : await containerOf(id))
    }
  })

  test('the environment of what runs inside', async () => {
    const sandbox = await victimsSandbox()
    const { stdout } = await sandbox.commands.run('cat /proc/[0-9]*/environ; cat /proc/[0-9]*/cmdline; env', {
      user: 'root',
    })
    expectNone(stdout)
  })

  test('the files of the sandbox', async () => {
    const sandbox = await victimsSandbox()
    // Commands are written down with the sandbox's logs, so this one doesn't have what it looks for.
    const [token, key] = [victim.token, victimKey].map((secret) => `[${secret[0]}]${secret.slice(1)}`)
    const found = await sandbox.commands.run(
      `grep -rl -e '${token}' -e '${key}' /home /etc /run /tmp /var /root 2>/dev/null || true`,
      { user: 'root', timeoutMs: 60_000 },
    )
    expect(found.stdout).toBe('')
  })
})

describe('keys are kept as hashes in', () => {
  const files = readdirSync(stateDir).filter((name) => name.startsWith('e2b-server.db'))
  test.each(files)('%s', (name) => {
    expectNone(readFileSync(join(stateDir, name), 'latin1'), ['victimToken', 'attackerToken'])
  })
})

describe('nobody else on the machine reads', () => {
  test.each(['', 'api-key', 'admin-token', 'e2b-server.db', 'server.json'])(
    'the state directory’s %j',
    (name) => {
      const { mode } = statSync(join(stateDir, name))
      if (name === 'server.json') expectNone(readFileSync(join(stateDir, name), 'utf8'))
      else expect(mode & 0o007).toBe(0)
    },
  )
})
