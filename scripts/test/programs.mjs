import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Lines of output that are kept for whoever reads results from them. */
const linesMax = 20_000
/** How long programs that are told to end may take to, in milliseconds. */
const endMaxMs = 10_000

/**
 * @typedef {object} ProgramOptions
 * @property {string} cwd
 * @property {Record<string, string>} [env] variables besides those of this process
 * @property {number} maxMs a program that takes longer, in milliseconds, is killed with all that it started
 * @property {(line: string) => void} say takes each line of both its outputs as it comes
 *
 * @typedef {object} Programs
 * @property {(command: string, args: string[], options: ProgramOptions) => Promise<{ code: number, lines: string[] }>} run
 *   Never rejects: a program that can't be started, is killed or takes too long has a code other than 0. `lines`: its
 *   standard output
 * @property {() => Promise<void>} endAll Ends all that run, with what they started; resolves when they are gone.
 */

/**
 * What runs programs, each in a process group of its own, so that a program ends with all that it started.
 *
 * @returns {Programs}
 */
export function createPrograms() {
  /** @type {Map<import('node:child_process').ChildProcess, Promise<void>>} */
  const running = new Map()
  let isEnding = false

  return {
    run(command, args, { cwd, env = {}, maxMs, say }) {
      if (isEnding) return Promise.resolve({ code: 1, lines: [] })
      const lines = []
      const child = spawn(command, args, {
        cwd,
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...color(), ...env },
      })
      const take = (line) => {
        say(line)
        if (lines.length < linesMax) lines.push(line)
      }
      createInterface({ input: child.stdout }).on('line', take)
      createInterface({ input: child.stderr }).on('line', say)
      const timer = setTimeout(() => {
        say(`${command} took longer than ${Math.round(maxMs / 60_000)} minutes and is ended.`)
        signalGroup(child, 'SIGKILL')
      }, maxMs)
      const ended = new Promise((resolve) => {
        child.once('error', (error) => {
          say(`${command} can't be started: ${error.message}`)
          resolve(1)
        })
        child.once('exit', (_code, signal) => {
          if (signal !== null) say(`${command} was ended by ${signal}.`)
          // What it left running holds its outputs open, and would keep this waiting.
          signalGroup(child, 'SIGKILL')
        })
        child.once('close', (code) => resolve(code ?? 1))
      })
      running.set(
        child,
        ended.then(() => {}),
      )
      return ended.then((code) => {
        clearTimeout(timer)
        running.delete(child)
        return { code, lines }
      })
    },
    async endAll() {
      isEnding = true
      const children = [...running.keys()]
      for (const child of children) signalGroup(child, 'SIGTERM')
      const timer = setTimeout(() => {
        for (const child of children) signalGroup(child, 'SIGKILL')
      }, endMaxMs)
      await Promise.all(running.values())
      clearTimeout(timer)
    },
  }
}

function signalGroup(child, signal) {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    // Nobody is left in it.
    if (error.code !== 'ESRCH') throw error
  }
}

/** Programs see a pipe here; on a terminal they are told to use colours all the same. */
function color() {
  return process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}
}
