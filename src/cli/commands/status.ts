import type { Command } from 'commander'
import { type Actions, type Flags, type ServerStatus, withStateDir } from '../actions.ts'

/** As of init scripts: the program isn't running. */
const notRunningCode = 3

const states: Record<NonNullable<ServerStatus['server']>['state'], string> = {
  answering: 'running',
  silent: 'running, but it does not answer: see "npx e2b-server doctor"',
  starting: 'starting',
  stopping: 'stopping',
}

export function addStatus(program: Command, actions: Actions): void {
  withStateDir(program.command('status'))
    .description('say whether the server runs, where, since when, and how many sandboxes it has')
    .action(async (flags: Flags) => {
      const { server, sandboxes, stateDir } = await actions.status(flags)
      const rows = [
        ['server', server === null ? 'not running' : states[server.state]],
        ...(server === null ? [] : detailsOf(server)),
        ['sandboxes', `${sandboxes.running} running, ${sandboxes.paused} paused`],
        ['state', stateDir],
      ]
      for (const [name, value] of rows) console.log(`${name!.padEnd(10)} ${value}`)
      if (server === null) process.exitCode = notRunningCode
    })
}

function detailsOf({ url, version, pid, startedAt }: NonNullable<ServerStatus['server']>): string[][] {
  return [
    ...(url === null ? [] : [['url', url]]),
    ...(version === null ? [] : [['version', version]]),
    ['process', String(pid)],
    ...(startedAt === null ? [] : [['up for', duration(Date.now() - startedAt)]]),
  ]
}

/** The two largest units, such as `3 d 4 h`. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const first = parts.findIndex(([amount]) => amount > 0)
  if (first === -1) return '0 s'
  return parts
    .slice(first, first + 2)
    .map((part) => part.join(' '))
    .join(' ')
}
