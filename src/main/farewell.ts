import type { SandboxCounts } from './running-server.ts'

/** What the server says when it has stopped: which sandboxes outlive it, and how to come back to them. */
export function farewell({ running, paused }: SandboxCounts): string {
  if (running + paused === 0) return 'Stopped. No sandboxes are left.'
  const parts = []
  if (running > 0) parts.push(running === 1 ? '1 sandbox keeps running' : `${running} sandboxes keep running`)
  if (paused > 0) parts.push(paused === 1 ? '1 sandbox stays paused' : `${paused} sandboxes stay paused`)
  return `Stopped. ${parts.join(', ')}; "npm start" finds ${running + paused === 1 ? 'it' : 'them'} again.`
}
