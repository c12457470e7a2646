import { callUnary } from './exchange.ts'
import type { Fields } from './fields.ts'
import type { Guest } from './guest.ts'
import { maxPid } from './selector.ts'

export interface RunningProcess {
  pid: number
  cmd: string
  args: string[]
  env: Record<string, string>
  cwd?: string
  tag?: string
}

/** The running processes that `exec` started. Errors: `unavailable`, `internal`, `canceled`. */
export function list(guest: Guest, signal: AbortSignal): Promise<RunningProcess[]> {
  return callUnary(guest, { op: 'list' }, { signal }, (reply) => reply.objects('processes').map(parseProcess))
}

function parseProcess(fields: Fields): RunningProcess {
  const cwd = fields.optionalString('cwd')
  const tag = fields.optionalString('tag')
  return {
    pid: fields.integer('pid', 1, maxPid),
    cmd: fields.string('cmd'),
    args: fields.strings('args'),
    env: fields.stringMap('env'),
    ...(cwd === undefined ? {} : { cwd }),
    ...(tag === undefined ? {} : { tag }),
  }
}
