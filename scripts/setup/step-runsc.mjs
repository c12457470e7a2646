/**
 * gVisor's program `runsc`, of the one version that the helper takes (spec/gvisor.json): the one that `RUNSC` names or that is in
 * PATH, else built by Go from its module.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { findProgram } from './find-program.mjs'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'

/** A minute or two on a machine with nothing else to do, and some on a busy one */
const buildTimeoutMs = 30 * 60_000
const pieceBytes = 4 * 2 ** 20

/**
 * @param {{ root: string, binary: string, env?: Record<string, string | undefined> }} options `root`: the checkout
 * @returns {import('./run-steps.mjs').Step}
 */
export function runscStep({ root, binary, env = process.env }) {
  const { module, version } = JSON.parse(readFileSync(join(root, 'spec', 'gvisor.json'), 'utf8'))
  const isIt = (file) => file !== undefined && existsSync(file) && hasText(file, `${module}\t${version}\t`)
  return {
    name: 'runsc',
    isDone: async () => isIt(binary),
    run: async (progress) => {
      const ready = [env.RUNSC || undefined, findProgram('runsc')].find(isIt)
      if (ready !== undefined) return install(ready, binary)
      const go = findProgram('go', { path: `${env.PATH ?? ''}:/usr/local/go/bin` })
      if (go === undefined)
        throw new SetupError(`gVisor's runsc of version ${version} is not there.`, {
          advice: 'Name it in the environment variable RUNSC, or install Go, which builds it.',
        })
      mkdirSync(dirname(binary), { recursive: true })
      const folder = mkdtempSync(join(dirname(binary), 'runsc-'))
      try {
        progress("compiling gVisor's runsc")
        await runCommand(go, ['install', `${module}/runsc@${version}`], {
          cwd: folder,
          env: { CGO_ENABLED: '0', GOBIN: folder, GOFLAGS: '' },
          timeoutMs: buildTimeoutMs,
          advice: 'Check that Go reaches its module proxy, then run this command again.',
          progress,
        })
        install(join(folder, 'runsc'), binary)
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  }
}

function install(file, binary) {
  const draft = `${binary}.new`
  copyFileSync(file, draft, constants.COPYFILE_FICLONE)
  renameSync(draft, binary)
}

/** Whether a file has this in it: Go writes into each program what it was built from. */
function hasText(file, text) {
  const wanted = Buffer.from(text)
  const piece = Buffer.alloc(pieceBytes)
  const fd = openSync(file)
  try {
    let kept = 0
    for (;;) {
      const read = readSync(fd, piece, kept, piece.length - kept, null)
      if (read === 0) return false
      const end = kept + read
      if (piece.subarray(0, end).includes(wanted)) return true
      kept = Math.min(wanted.length, end)
      piece.copy(piece, 0, end - kept, end)
    }
  } finally {
    closeSync(fd)
  }
}
