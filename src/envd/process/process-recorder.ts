/**
 * What a process did and said, for its sandbox's log: its start, the first lines of its output, its end. Whatever it
 * prints after the first 64 KiB costs one comparison.
 */
import { StringDecoder } from 'node:string_decoder'
import type { SandboxLogEntry } from '../../domain/sandbox-log.ts'
import type { ExecRequest } from '../../guest/exec.ts'
import type { ProcessExit } from '../../guest/process-stream.ts'
import type { OutputKind } from './output-batch.ts'

/** Output of one process that is logged, in bytes. */
const outputMaxBytes = 64 * 1024
/** Lines of one process that are logged. */
const linesMax = 1_000
/** Longest line, and longest command line, in characters. */
const lineMaxLength = 4096

export interface ProcessRecorder {
  started(pid: number, request: ExecRequest): void
  /** Instead of `started`: one that has run for a while, with as many bytes of output so far */
  found(pid: number, seenBytes: number): void
  output(kind: OutputKind, bytes: Buffer): void
  ended(exit: ProcessExit): void
  /** Bytes of all outputs so far; undefined until the process is known */
  readonly seenBytes: number | undefined
  readonly hasEnded: boolean
  /** Whether further output isn't logged */
  readonly isFull: boolean
}

/** Writes with `write`, which takes what it gets at once. Output of terminals isn't logged: it is drawing, not lines. */
export function createProcessRecorder(write: (entry: SandboxLogEntry) => void): ProcessRecorder {
  let pid = 0
  let seenBytes: number | undefined
  let lines = 0
  let isFull = false
  let hasEnded = false
  /** The lines that haven't ended yet */
  const rest = { stdout: '', stderr: '' }
  /** They hold back a character that hasn't ended yet */
  const decoders = { stdout: new StringDecoder(), stderr: new StringDecoder() }

  const entry = (level: SandboxLogEntry['level'], message: string, fields: Record<string, string> = {}) =>
    write({ at: Date.now(), level, message, fields: { logger: 'process', pid: String(pid), ...fields } })
  const say = (kind: OutputKind, line: string) => {
    lines++
    entry(kind === 'stderr' ? 'warn' : 'info', line.slice(0, lineMaxLength), { stream: kind })
  }
  const sayRest = () => {
    for (const kind of ['stdout', 'stderr'] as const) {
      if (rest[kind] !== '') say(kind, rest[kind])
      rest[kind] = ''
    }
  }

  return {
    get seenBytes() {
      return seenBytes
    },
    get hasEnded() {
      return hasEnded
    },
    get isFull() {
      return isFull
    },
    started(started, { cmd, args, user, cwd, tag }) {
      pid = started
      seenBytes = 0
      entry('info', 'process started', {
        cmd: [cmd, ...args].join(' ').slice(0, lineMaxLength),
        ...(user !== undefined && user !== '' && { user }),
        ...(cwd !== undefined && { cwd }),
        ...(tag !== undefined && { tag }),
      })
    },
    found(found, bytes) {
      pid = found
      seenBytes = bytes
      isFull = bytes >= outputMaxBytes
    },
    output(kind, bytes) {
      const before = seenBytes ?? 0
      seenBytes = before + bytes.length
      if (isFull || kind === 'pty') return
      const text = decoders[kind].write(bytes.subarray(0, outputMaxBytes - before))
      const pieces = `${rest[kind]}${text}`.split('\n', linesMax - lines + 1)
      rest[kind] = (pieces.pop() ?? '').slice(0, lineMaxLength)
      for (const line of pieces) say(kind, line)
      if (seenBytes < outputMaxBytes && lines < linesMax) return
      isFull = true
      sayRest()
      entry(
        'info',
        `the rest of the output isn't logged: more than ${outputMaxBytes} bytes or ${linesMax} lines`,
      )
    },
    ended({ status, exitCode }) {
      hasEnded = true
      sayRest()
      entry(exitCode === 0 ? 'info' : 'warn', 'process ended', { status })
    },
  }
}
