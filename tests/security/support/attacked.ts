/** What the attempts are made on, as the files of the suite see it. */
import { Sandbox } from 'e2b'
import { inject } from 'vitest'

interface Occupied {
  id: string
  /** Of envd */
  token: string
}

export interface Attacked {
  url: string
  stateDir: string
  /** Of the server's process */
  pid: number
  adminToken: string
  /** Where programs with E2B_DEBUG=true would look, on loopback */
  debugPort: number
  victimKey: string
  victim: Occupied
  attackerKey: string
  attackerTeamId: string
  attacker: Occupied
}

/** Where the recorder listens in the victim's sandbox. */
export const recorderPort = 8000

/** The server, its teams and their sandboxes. */
export function attacked(): Attacked {
  return inject('attacked')
}

/** The attacker's own sandbox, with the official client. */
export function attackersSandbox(): Promise<Sandbox> {
  const { url, attackerKey, attacker } = attacked()
  return Sandbox.connect(attacker.id, {
    apiKey: attackerKey,
    apiUrl: url,
    sandboxUrl: url,
    timeoutMs: 3_600_000,
  })
}

/** The victim's sandbox, as its owner has it. */
export function victimsSandbox(): Promise<Sandbox> {
  const { url, victimKey, victim } = attacked()
  return Sandbox.connect(victim.id, { apiKey: victimKey, apiUrl: url, sandboxUrl: url, timeoutMs: 3_600_000 })
}
