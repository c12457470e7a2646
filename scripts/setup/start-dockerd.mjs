/**
 * Starts `dockerd` where no service manager does, as a process of its own that outlives this one, and waits until it
 * answers.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pingDocker } from './docker-socket.mjs'
import { findProgram } from './find-program.mjs'
import { SetupError } from './setup-error.mjs'

const answerTimeoutMs = 60_000
const pollMs = 100
/** Size beyond which the log is put aside (one older log is kept), in bytes. */
const logMaxBytes = 10 * 1024 * 1024

/**
 * Errors: `SetupError` with the log's end when the engine exits or doesn't answer in time.
 *
 * @param {{ endpoint: { socketPath: string }, args?: string[], logFile?: string, runFolder?: string,
 *   containerdSocket?: string, timeoutMs?: number }} options `runFolder`: where the engine keeps its pid file and
 *   the folder `docker`; the defaults are dockerd's own
 */
export async function startDockerd({
  endpoint,
  args = ['--live-restore'],
  logFile = '/var/log/e2b-server-dockerd.log',
  runFolder = '/var/run',
  containerdSocket = '/run/containerd/containerd.sock',
  timeoutMs = answerTimeoutMs,
}) {
  await clearRemains({ runFolder, containerdSocket })
  const log = openLog(logFile)
  const child = spawn(findProgram('dockerd') ?? 'dockerd', args, {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let ended
  child.once('exit', (code, signal) => (ended = `exited (${code ?? signal})`))
  child.once('error', (error) => (ended = `could not be started (${error.message})`))
  child.unref()

  const deadline = Date.now() + timeoutMs
  while ((await pingDocker(endpoint)) !== 'up') {
    if (ended === undefined && Date.now() < deadline) {
      await sleep(pollMs)
      continue
    }
    const what = ended ?? `does not answer after ${Math.round(timeoutMs / 1000)} s`
    throw new SetupError(`dockerd ${what}.`, {
      advice: `Its log is ${logFile}.`,
      output: readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-20),
    })
  }
}

function openLog(file) {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > logMaxBytes) renameSync(file, `${file}.1`)
  return openSync(file, 'a', 0o640)
}

/**
 * Removes what an engine that did not end properly leaves behind, e.g. on a machine restored from an image: a pid
 * file whose number now is another program's, and a containerd socket that nobody listens on. dockerd takes both for
 * a sign of life and refuses to start, or waits in vain.
 *
 * @param {{ runFolder: string, containerdSocket: string }} options
 */
export async function clearRemains({ runFolder, containerdSocket }) {
  clearPidFile(`${runFolder}/docker.pid`, 'dockerd')
  clearPidFile(`${runFolder}/docker/containerd/containerd.pid`, 'containerd')
  if ((await listens(containerdSocket)) === false) rmSync(containerdSocket, { force: true })
}

function clearPidFile(file, program) {
  try {
    const pid = readFileSync(file, 'utf8').trim()
    if (programOf(pid) !== program) rmSync(file, { force: true })
  } catch {
    // No such file: nothing to clear.
  }
}

/** The name of the program that a process runs, or undefined without such a process. */
function programOf(pid) {
  try {
    return basename(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0])
  } catch {
    return undefined
  }
}

/** Whether anybody listens on a unix socket; undefined when that can't be told, e.g. when it doesn't exist. */
function listens(socketPath) {
  return new Promise((resolve) => {
    const socket = connect(socketPath)
    const settle = (answer) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', (error) => settle(error.code === 'ECONNREFUSED' ? false : undefined))
    socket.setTimeout(2000, () => settle(undefined))
  })
}
