import { exec } from '../guest/exec.ts'
import type { Guest } from '../guest/guest.ts'
import type { ProcessExit, ProcessStream } from '../guest/process-stream.ts'
import type { BuildState } from './build-state.ts'
import { createOutputLines } from './output-lines.ts'

export interface CommandOptions {
  /** Takes a line of output; the command waits for it */
  onLine?: (stream: 'stdout' | 'stderr', line: string) => Promise<void> | void
  signal: AbortSignal
}

/** Runs a command in a login shell to its end. Errors: those of `exec`. */
export async function runCommand(
  guest: Guest,
  command: string,
  { env, user, workdir }: BuildState,
  { onLine, signal }: CommandOptions,
): Promise<ProcessExit> {
  const cwd = workdir === null ? {} : { cwd: workdir }
  const request = { cmd: '/bin/bash', args: ['-l', '-c', command], env, user, ...cwd, stdin: false }
  return follow(await exec(guest, request, signal), onLine)
}

/** Reads a process's output to its end. */
export async function follow(
  { events }: ProcessStream,
  onLine: CommandOptions['onLine'],
): Promise<ProcessExit> {
  const lines = { stdout: createOutputLines(), stderr: createOutputLines() }
  for await (const event of events) {
    if (event.type === 'pty') continue
    if (event.type !== 'end') {
      for (const line of lines[event.type].take(event.bytes)) await onLine?.(event.type, line)
      continue
    }
    for (const stream of ['stdout', 'stderr'] as const) {
      for (const line of lines[stream].rest()) await onLine?.(stream, line)
    }
    return event.exit
  }
  throw new Error('a process ended without an outcome')
}
