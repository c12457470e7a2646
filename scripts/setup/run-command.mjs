import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { SetupError } from './setup-error.mjs'

/** Lines of output that an error shows. */
const tailLines = 20
/** Longest part of a line that people see and that a caller gets, in characters. */
const shownMax = 500
const keptMax = 65_536

/**
 * Runs a command to its end and resolves with its standard output's lines (the last `keepLines` of them). Every line
 * of its output is reported as progress, marked as output. Errors: a `SetupError` with the last lines of output when the command
 * can't be started, fails, or takes longer than `timeoutMs`.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, timeoutMs: number, advice?: string,
 *   progress?: import('./report.mjs').Progress, keepLines?: number }} options `env` is added to this process's own
 * @returns {Promise<string[]>}
 */
export function runCommand(
  command,
  args,
  { cwd, env, timeoutMs, advice, progress = () => {}, keepLines = 1000 },
) {
  const commandLine = [command, ...args].join(' ')
  return new Promise((resolve, reject) => {
    const tail = []
    const kept = []
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const fail = (what, cause) =>
      reject(new SetupError(`\`${commandLine}\` ${what}.`, { advice, output: tail, cause }))

    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      // What the command started may hold its output open, so nothing is waited for.
      fail(`took longer than ${Math.round(timeoutMs / 1000)} s`)
    }, timeoutMs)

    const read = (stream, keep) =>
      createInterface({ input: stream }).on('line', (line) => {
        const shown = line.slice(0, shownMax)
        pushBounded(tail, shown, tailLines)
        if (keep) pushBounded(kept, line.slice(0, keptMax), keepLines)
        progress(shown, { isOutput: true })
      })
    read(child.stdout, true)
    read(child.stderr, false)

    child.once('error', (error) => {
      clearTimeout(timer)
      fail(`could not be started (${error.code ?? error.message})`, error)
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      if (code === 0) resolve(kept)
      else fail(code === null ? `was ended by ${signal}` : `failed with exit code ${code}`)
    })
  })
}

function pushBounded(lines, line, max) {
  lines.push(line)
  if (lines.length > max) lines.shift()
}
