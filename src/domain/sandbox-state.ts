/**
 * The life of a sandbox. A row that is gone from the store is a sandbox that is gone; there is no state for it.
 *
 *  creating ──▶ running ──▶ pausing ──▶ paused ──▶ resuming ──▶ running
 *     │           │  ▲                    │            │
 *     │           │  └─▶ snapshotting     │            └─▶ paused (it failed)
 *     └───────────┴────────▶ killing ◀────┘ ──▶ (gone)
 *
 * `creating`, `pausing`, `resuming`, `snapshotting` and `killing` are intents: a crash in one is settled by the next
 * reconciliation. `creating` is undone (nobody was told that the sandbox existed), `pausing` is completed or, when
 * that fails, undone, `resuming` is undone, `snapshotting` ends as `running`, `killing` is completed. A failed pause
 * leaves the sandbox running, a failed resume leaves it paused. A sandbox whose guest died by itself goes through
 * `killing` too, so that whatever is left of it is removed.
 *
 * Only `control/lifecycle.ts` writes states, through one queue per sandbox. An end alone goes ahead of the queue
 * (`Lifecycle.preempt`): `killing` is final, and each step says which state it starts from, so none leads out of it.
 */

export const sandboxStates = [
  'creating',
  'running',
  'pausing',
  'paused',
  'resuming',
  'snapshotting',
  'killing',
] as const

export type SandboxState = (typeof sandboxStates)[number]

export const sandboxEvents = [
  'started',
  'start-failed',
  'pause',
  'paused',
  'pause-failed',
  'resume',
  'resumed',
  'resume-failed',
  'snapshot',
  'snapshotted',
  'kill',
  'expire',
  'guest-gone',
] as const

export type SandboxEvent = (typeof sandboxEvents)[number]

const transitions: Record<SandboxState, Partial<Record<SandboxEvent, SandboxState>>> = {
  creating: { started: 'running', 'start-failed': 'killing', kill: 'killing' },
  running: {
    pause: 'pausing',
    snapshot: 'snapshotting',
    kill: 'killing',
    expire: 'killing',
    'guest-gone': 'killing',
  },
  pausing: { paused: 'paused', 'pause-failed': 'running', kill: 'killing', 'guest-gone': 'killing' },
  paused: { resume: 'resuming', kill: 'killing', 'guest-gone': 'killing' },
  resuming: { resumed: 'running', 'resume-failed': 'paused', kill: 'killing', 'guest-gone': 'killing' },
  snapshotting: { snapshotted: 'running', kill: 'killing', expire: 'killing', 'guest-gone': 'killing' },
  killing: { kill: 'killing', 'guest-gone': 'killing' },
}

/** The state that `event` leads to, or undefined where it can't happen. */
export function nextState(state: SandboxState, event: SandboxEvent): SandboxState | undefined {
  return transitions[state][event]
}

/** The two states that clients know; undefined for a sandbox that they don't see (e2b-wire 2.1). */
export function publicState(state: SandboxState): 'running' | 'paused' | undefined {
  switch (state) {
    case 'running':
    case 'snapshotting':
      return 'running'
    case 'pausing':
    case 'paused':
    case 'resuming':
      return 'paused'
    default:
      return undefined
  }
}
