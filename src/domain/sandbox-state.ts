/**
 * The life of a sandbox. A row that is gone from the store is a sandbox that is gone; there is no state for it.
 *
 *  creating ──▶ running ──▶ killing ──▶ (gone)
 *      │                       ▲
 *      └───────────────────────┘
 *
 * `creating` and `killing` are intents: a crash in either is finished by the next start's reconciliation, `creating`
 * by undoing it (nobody was told the sandbox existed), `killing` by completing it. A sandbox whose guest died by
 * itself goes through `killing` too, so that whatever is left of it is removed.
 *
 * Only `control/lifecycle.ts`, through one queue per sandbox, writes states.
 */

export type SandboxState = 'creating' | 'running' | 'killing'

export type SandboxEvent = 'started' | 'start-failed' | 'kill' | 'expire' | 'guest-gone'

const transitions: Record<SandboxState, Partial<Record<SandboxEvent, SandboxState>>> = {
  creating: { started: 'running', 'start-failed': 'killing', kill: 'killing' },
  running: { kill: 'killing', expire: 'killing', 'guest-gone': 'killing' },
  killing: { kill: 'killing', 'guest-gone': 'killing' },
}

/** The state that `event` leads to, or undefined where it can't happen. */
export function nextState(state: SandboxState, event: SandboxEvent): SandboxState | undefined {
  return transitions[state][event]
}
