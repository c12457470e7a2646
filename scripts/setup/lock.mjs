/**
 * One setup at a time. The lock is the kernel's (`flock`), held by a small child: however this process ends, its
 * pipe to the child closes, the child exits and the lock is free. So there are no stale locks to detect.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { SetupError } from './setup-error.mjs'

/** How long another setup is waited for: longer than any step takes, in milliseconds. */
const waitMaxMs = 45 * 60_000

/**
 * Runs `action` while holding the lock and resolves with its result.
 *
 * @template T
 * @param {string} file the lock's file, made where it doesn't exist and never removed
 * @param {() => Promise<T>} action
 * @param {{ onWait?: (pid: string) => void, waitMs?: number }} [options] `onWait` is told once, before waiting, which
 *   process has the lock (empty: unknown)
 * @returns {Promise<T>}
 */
export async function withLock(file, action, { onWait = () => {}, waitMs = waitMaxMs } = {}) {
  requireWritable(file)
  let holder = await acquire(file, 0)
  if (holder === undefined) {
    const pid = readFileSync(file, 'utf8').trim()
    onWait(pid)
    holder = await acquire(file, waitMs)
    if (holder === undefined) {
      throw new SetupError(`Another setup (process ${pid}) has been running for too long.`, {
        advice: `Look at what process ${pid} is doing, end it, and run this command again.`,
      })
    }
  }
  try {
    writeFileSync(file, `${process.pid}\n`)
    return await action()
  } finally {
    const exited = once(holder, 'exit')
    holder.stdin.end()
    await exited
  }
}

/** Makes the lock's file where there is none. */
function requireWritable(file) {
  try {
    mkdirSync(dirname(file), { recursive: true })
    closeSync(openSync(file, 'a'))
  } catch (error) {
    throw new SetupError(`${dirname(file)} can't be written to (${error.code}).`, {
      advice: 'Run this command as the owner of the checkout, or as root.',
      cause: error,
    })
  }
}

/** The child that holds the lock, or undefined when it could not be had within `waitMs`. */
async function acquire(file, waitMs) {
  const patience = waitMs === 0 ? ['--nonblock'] : ['--timeout', String(waitMs / 1000)]
  const child = spawn('flock', [...patience, file, 'sh', '-c', 'echo held && exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.on('error', () => {})
  const outcome = await new Promise((resolve) => {
    child.stdout.once('data', () => resolve('held'))
    child.once('exit', resolve)
    child.once('error', resolve)
  })
  if (outcome === 'held') return child
  if (outcome === 1) return undefined
  throw new SetupError(`The setup's lock ${file} can't be taken.`, {
    advice: 'Check that `flock` (package util-linux) is installed and that you may write there.',
    cause: outcome,
  })
}
