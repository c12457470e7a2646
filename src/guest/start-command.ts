import { ServerError, toError } from '../domain/error.ts'
import type { SandboxDefaults } from '../domain/template-build.ts'
import { anySignal, sleep } from '../lib/deadline.ts'
import { attach } from './attach.ts'
import { exec } from './exec.ts'
import type { Guest } from './guest.ts'
import type { ProcessEvent, ProcessExit, ProcessStream } from './process-stream.ts'

/** What runs in each sandbox of a build, and how it is told that it is ready. */
export type StartCommand = Pick<SandboxDefaults, 'startCmd' | 'readyCmd'>

export interface StartOptions {
  /** Takes what either command prints, until it is ready */
  onOutput?: (command: 'start' | 'ready', stream: 'stdout' | 'stderr', bytes: Buffer) => void
  signal: AbortSignal
}

/** The start command's name among a sandbox's processes. */
const startTag = 'start_cmd'
/** Time between two attempts of the ready command, in ms: short at first, as most services are there soon. */
const firstWaitMs = 25
const longestWaitMs = 1_000
/** Longest run of one attempt, in ms. */
const attemptMs = 600_000
/** How soon after readiness an end with 0 may still come of a command that had only to start something, in ms. */
const settleMs = 1_000
/** Output of a start command after readiness, in bytes, from which on nobody follows it for so long, in ms; ends are told for 30 s. */
const heardMaxBytes = 64 * 1024
const deafMs = 5_000

/**
 * Runs a build's start command in a configured guest, as its default user in its default directory, and resolves when the
 * ready command has exited with 0; at once where there is none. The start command goes on running, and nobody follows it.
 * Errors: `failed_precondition` (it failed before it was ready, with its status and last output), `unauthenticated` (user),
 * `invalid_argument` (directory), `unavailable`, those of the signal.
 */
export async function runStartCommand(
  guest: Guest,
  { startCmd, readyCmd }: StartCommand,
  { onOutput, signal }: StartOptions,
): Promise<void> {
  const failed = new AbortController()
  const started = startCmd === null ? undefined : await run(guest, startCmd, { tag: startTag }, signal)
  if (started !== undefined) {
    void follow(started, 'start', onOutput).then(
      ({ exit, tail }) => {
        if (exit !== undefined && exit.exitCode !== 0) failed.abort(startFailed(exit, tail))
      },
      (error) => failed.abort(error),
    )
  }
  try {
    if (readyCmd === null) return
    await untilReady(guest, readyCmd, onOutput, anySignal(signal, failed.signal))
  } catch (error) {
    throw failed.signal.aborted ? failed.signal.reason : error
  } finally {
    void started?.events.return()
  }
}

/**
 * How a start command ended that is to go on: resolves with its status when it does, a moment after readiness at the earliest.
 * Undefined where there is nothing to wait for: there is none, or it had done its work, with 0, by readiness, or at any time where
 * nothing else says when it is ready. Errors: `unavailable`, those of the signal.
 */
export async function startCommandDeath(
  guest: Guest,
  { startCmd, readyCmd }: StartCommand,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (startCmd === null) return undefined
  const readyAt = performance.now()
  for (let isFirst = true; ; isFirst = false) {
    let stream: ProcessStream
    try {
      stream = await attach(guest, { tag: startTag }, signal)
    } catch (error) {
      if (toError(error).code !== 'not_found') throw error
      // Its end is no longer known: it came before readiness, unless it was there a while ago.
      return isFirst ? undefined : 'an unknown status'
    }
    const exit = await untilEndOrLoud(stream, signal)
    if (exit !== undefined) {
      const mayEnd = readyCmd === null || performance.now() - readyAt < settleMs
      return exit.exitCode === 0 && mayEnd ? undefined : exit.status
    }
    await sleep(deafMs, signal)
  }
}

/** Undefined: it says more than is worth following. Errors: those of the signal. */
async function untilEndOrLoud(
  { events }: ProcessStream,
  signal: AbortSignal,
): Promise<ProcessExit | undefined> {
  const onAbort = () => void events.return()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    let heard = 0
    for await (const event of events) {
      if (event.type === 'end') return event.exit
      heard += event.bytes.length
      if (heard > heardMaxBytes) return undefined
    }
    signal.throwIfAborted()
    return undefined
  } finally {
    signal.removeEventListener('abort', onAbort)
    void events.return()
  }
}

async function untilReady(
  guest: Guest,
  readyCmd: string,
  onOutput: StartOptions['onOutput'],
  signal: AbortSignal,
): Promise<void> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    const attempt = await run(guest, readyCmd, { timeoutMs: attemptMs }, signal)
    const { exit } = await follow(attempt, 'ready', onOutput, signal)
    if (exit?.exitCode === 0) return
    await sleep(waitMs, signal)
  }
}

function run(
  guest: Guest,
  command: string,
  options: { tag?: string; timeoutMs?: number },
  signal: AbortSignal,
): Promise<ProcessStream> {
  const shell = { cmd: '/bin/bash', args: ['-l', '-c', command] }
  return exec(guest, { ...shell, env: {}, stdin: false, ...options }, signal)
}

/** Output kept for the error, in bytes. */
const tailBytes = 2_048

/** Takes a process's output until it ends or the follower lets go; undefined exit then. */
async function follow(
  { events }: ProcessStream,
  command: 'start' | 'ready',
  onOutput: StartOptions['onOutput'],
  signal?: AbortSignal,
): Promise<{ exit: ProcessExit | undefined; tail: string }> {
  let tail = Buffer.alloc(0)
  const onAbort = () => void events.return()
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    for await (const event of events as AsyncIterable<ProcessEvent>) {
      if (event.type === 'end') return { exit: event.exit, tail: tail.toString() }
      if (event.type === 'pty') continue
      onOutput?.(command, event.type, event.bytes)
      tail = Buffer.concat([tail, event.bytes]).subarray(-tailBytes)
    }
    signal?.throwIfAborted()
    return { exit: undefined, tail: tail.toString() }
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

function startFailed({ status }: ProcessExit, tail: string): ServerError {
  const said = tail.trim() === '' ? '' : `: ${tail.trim()}`
  return new ServerError(
    'failed_precondition',
    `The template's start command ended with ${status} before its sandbox was ready${said}`,
  )
}
