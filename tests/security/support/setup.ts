/**
 * What the attempts of the suite are made on: one server with two teams, a sandbox of each, and in the victim's a
 * recorder of whatever reaches its port. Runs once, before the files of the suite.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
import type { TestProject } from 'vitest/node'
import { startTestServer, type TestServer } from '../../support/server.ts'
import { type Attacked, recorderPort } from './attacked.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    attacked: Attacked
  }
}

const program = join(import.meta.dirname, '../../../scripts/e2b-server.mjs')

/** Resolves with what ends all of it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const debugPort = await freePort()
  const server = await startTestServer({ flags: ['--debug-port', String(debugPort)] })
  try {
    project.provide('attacked', { ...(await furnish(server)), debugPort })
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
  return async () => await server[Symbol.asyncDispose]()
}

async function furnish(server: TestServer): Promise<Omit<Attacked, 'debugPort'>> {
  const cli = async (...args: string[]) => {
    const all = [program, ...args, '--state-dir', server.stateDir]
    return (await promisify(execFile)(process.execPath, all)).stdout.trim()
  }
  const [attackerTeamId] = (await cli('teams', 'create', 'attacker', '--name', 'Attacker')).split('  ')
  const attackerKey = await cli('keys', 'create', '--team', 'attacker', '--name', 'attacks')
  const at = { apiUrl: server.url, sandboxUrl: server.url, timeoutMs: 3_600_000 }
  const victim = await Sandbox.create({ ...at, apiKey: server.apiKey, secure: true })
  const attacker = await Sandbox.create({ ...at, apiKey: attackerKey, secure: true })
  await startRecorder(victim)
  return {
    url: server.url,
    stateDir: server.stateDir,
    pid: server.pid(),
    adminToken: readFileSync(join(server.stateDir, 'admin-token'), 'utf8').trim(),
    victimKey: server.apiKey,
    victim: { id: victim.sandboxId, token: tokenOf(victim) },
    attackerKey,
    attackerTeamId: attackerTeamId!,
    attacker: { id: attacker.sandboxId, token: tokenOf(attacker) },
  }
}

async function startRecorder(sandbox: Sandbox): Promise<void> {
  const source = readFileSync(join(import.meta.dirname, 'inside/recorder.cjs'), 'utf8')
  await sandbox.files.write('recorder.cjs', source)
  await sandbox.commands.run(`node recorder.cjs ${recorderPort}`, { background: true, timeoutMs: 0 })
  await sandbox.commands.run(
    `for i in $(seq 200); do curl -sf -o /dev/null http://127.0.0.1:${recorderPort}/ && exit; sleep 0.1; done; exit 1`,
  )
}

function tokenOf(sandbox: Sandbox): string {
  return (sandbox as unknown as { envdAccessToken: string }).envdAccessToken
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}
