import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../actions.ts'

export function addLogs(program: Command, actions: Actions): void {
  withStateDir(program.command('logs'))
    .description('show the server’s log, or what a sandbox did and said')
    .argument('[sandbox]', 'id of a sandbox')
    .option('-n, --lines <number>', 'how many of the last lines', '100')
    .option('-f, --follow', 'go on with those to come, until Ctrl-C')
    .option('--json', 'lines of JSON, as they are kept')
    .action(async (sandboxId: string | undefined, flags: Flags) => {
      const request = {
        sandboxId,
        lines: String(flags.lines),
        json: flags.json === true,
        isFollowed: flags.follow === true,
      }
      for await (const line of actions.logs(flags, request)) console.log(line)
    })
}
