import type { Command } from 'commander'
import type { Actions, Flags } from '../actions.ts'

export function addBench(program: Command, actions: Actions): void {
  program
    .command('bench')
    .description(
      'measure creates, commands, pauses, copies, files and memory on this machine, through the E2B SDK and beside Docker’s own client',
    )
    .option(
      '--runtime <name>',
      'of the servers that it starts: auto, native, docker or process (default: auto)',
    )
    .option('--quick', 'fewer runs, at most ten at once: a minute or two instead of eight')
    .option(
      '--idle <n>',
      'sandboxes that are there at once, doing nothing; 0 for none (default: 1000 where they fit)',
    )
    .option(
      '--only <names>',
      'some of server, creates, pauses, copies, commands, files, idle, warm, with commas between',
    )
    .option('--url <url>', 'measure a server that runs, in place of servers of its own')
    .option('--sandbox-url <url>', 'where sandboxes of that server are asked (default: the same)')
    .option('--api-key <key>', 'a key of that server; or E2B_API_KEY')
    .option('--json <file>', 'write the results')
    .option('--svg <file>', 'write them as a picture')
    .option('--compare <file>', 'show them beside those of an earlier --json')
    .action((flags: Flags) => actions.bench(flags))
}
