/** Programs that a recipe needs, as plain Node runs them. */
import { spawn } from 'node:child_process'

/** Longest time that one may take, in milliseconds */
const stepMs = 15 * 60_000

/** Runs a program that must succeed, and resolves with its standard output; `hint` leads the error otherwise. */
export async function run(program, args, { hint, ...options }) {
  const { code, stdout, stderr } = await execute(program, args, options)
  if (code !== 0) throw new Error(`${hint}\n${tail(stderr || stdout)}`)
  return stdout
}

/** Runs a program and resolves with what it did; never rejects. One that can't be started has the code 127. */
export function execute(program, args, { firstOutputMs, env } = {}) {
  const child = start(program, args, { env })
  if (firstOutputMs !== undefined) {
    const timer = setTimeout(() => child.kill(), firstOutputMs)
    child.stdout.once('data', () => clearTimeout(timer))
    child.once('close', () => clearTimeout(timer))
  }
  return outcomeOf(child, { keepStdout: true })
}

/** A program whose standard output is the caller's to read. */
export function start(program, args, { env } = {}) {
  return spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Not `timeout`: its timer outlives a program that can't be started, and keeps this process from ending.
    signal: AbortSignal.timeout(stepMs),
    ...(env && { env }),
  })
}

/** What a program did, once it has ended. */
export function outcomeOf(child, { keepStdout = false } = {}) {
  return new Promise((resolve) => {
    let stdout = ''
    let stderr = ''
    if (keepStdout) {
      child.stdout.setEncoding('utf8').on('data', (text) => {
        stdout = tail(stdout + text)
      })
    }
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr = tail(stderr + text)
    })
    child.once('error', (error) => resolve({ code: 127, stdout, stderr: error.message }))
    child.once('close', (code) => resolve({ code: code ?? 1, stdout, stderr }))
  })
}

/** The end of a program's output, where it says what went wrong. */
export function tail(text) {
  return text.slice(-4000)
}
