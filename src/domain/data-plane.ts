/**
 * What the owner of sandboxes tells those who carry their traffic. One writes, many read: a carrier keeps a directory
 * of what it was told, decides nothing about a sandbox, and may die at any time (`spec/data-plane.md`).
 */
import type { Ingress } from './live-sandbox.ts'

/** How the host reaches the agent of a guest, as plain data, so that any process of the host's may. */
export type AgentAddress =
  | {
      kind: 'unix'
      path: string
      /** The socket that has to be found there: paths that a guest or a reused number can change are not enough */
      identity?: { dev: string; ino: string }
    }
  /** `secretFile`: what a connection has to begin with lies in there */
  | { kind: 'tcp'; host: string; port: number; secretFile: string }

/** A sandbox that takes traffic. */
export interface DirectoryEntry {
  id: string
  /** What requests to envd must carry; null: nothing */
  accessToken: string | null
  /** What envd answers at `/envs` */
  envVars: Record<string, string>
  ingress: Ingress
  agent: AgentAddress
}

/** Who brings traffic to sandboxes, as their owner sees it. */
export interface TrafficCarrier {
  /**
   * From now on the sandbox takes traffic; one that does already is left as it is. `fresh`: nothing runs in it yet, so
   * there is nothing whose output is to be recorded.
   */
  admit(entry: DirectoryEntry, options: { teamId: string; fresh: boolean }): void
  /**
   * Ends its traffic: first nobody finds it any more, then its connections are cut. Resolves once that is so, and never
   * rejects: a carrier that doesn't say so in time is given up. Idempotent.
   */
  withdraw(sandboxId: string): Promise<void>
}
