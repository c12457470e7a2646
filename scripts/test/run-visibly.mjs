import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Longest time for one suite, in milliseconds. */
const suiteMaxMs = 30 * 60_000
/** Lines of output that are kept for whoever reads results from them. */
const linesMax = 20_000

/**
 * Runs a program and shows its output as it comes, but for its lines when its standard output is to be read: then it
 * goes through here. Never rejects: a program that can't be started or takes too long has a code other than 0.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env?: Record<string, string> }} options `env`: variables besides those of this process
 * @returns {Promise<{ code: number, lines: string[] }>} `lines`: its standard output
 */
export function runVisibly(command, args, { cwd, env = {} }) {
  return new Promise((resolve) => {
    const lines = []
    const child = spawn(command, args, {
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...color(), ...env },
    })
    const timer = setTimeout(() => {
      console.error(`${command} took longer than ${suiteMaxMs / 60_000} minutes and is ended.`)
      child.kill('SIGKILL')
      resolve({ code: 1, lines })
    }, suiteMaxMs)
    const settle = (code) => {
      clearTimeout(timer)
      resolve({ code, lines })
    }
    createInterface({ input: child.stdout }).on('line', (line) => {
      process.stdout.write(`${line}\n`)
      if (lines.length < linesMax) lines.push(line)
    })
    child.once('error', (error) => {
      console.error(`${command} can't be started: ${error.message}`)
      settle(1)
    })
    child.once('close', (code) => settle(code ?? 1))
  })
}

/** Programs see a pipe here; on a terminal they are told to use colours all the same. */
function color() {
  return process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}
}
