/** build/e2b-guest, the agent inside every sandbox, built from guest/. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'
import { hashFiles, readStamp, writeStamp } from './stamp.mjs'
import { findCargo } from './step-rust.mjs'

const buildTimeoutMs = 20 * 60_000
const sources = ['src', 'build.rs', 'Cargo.toml', 'Cargo.lock', '.cargo', 'rust-toolchain.toml']

/**
 * @param {{ root: string, binary: string, stamp: string }} options `binary`: where the agent goes
 * @returns {import('./run-steps.mjs').Step}
 */
export function guestAgentStep({ root, binary, stamp }) {
  const guest = join(root, 'guest')
  const hash = () => hashFiles(guest, sources)
  return {
    name: 'guest agent',
    isDone: async () => existsSync(binary) && readStamp(stamp) === hash(),
    run: async (progress) => {
      const before = hash()
      const cargo = await findCargo(root)
      if (cargo === undefined)
        throw new SetupError("The guest agent needs a Rust toolchain, which can't be found.")
      progress('compiling the agent that runs inside sandboxes')
      const messages = await runCommand(
        cargo,
        ['build', '--release', '--locked', '--message-format=json-render-diagnostics'],
        {
          cwd: guest,
          timeoutMs: buildTimeoutMs,
          advice: 'Check that cargo reaches its registry, then run this command again.',
          progress: (line, about) => line.startsWith('{') || progress(line.trim(), about),
        },
      )
      install(builtProgram(messages), binary)
      writeStamp(stamp, before)
    },
  }
}

/**
 * The path of the program in cargo's JSON messages. Errors: `SetupError` when there is none.
 *
 * @param {string[]} messages
 */
export function builtProgram(messages) {
  for (const line of messages) {
    const executable = /"executable":("(?:[^"\\]|\\.)*")/.exec(line)?.[1]
    if (executable !== undefined) return JSON.parse(executable)
  }
  throw new SetupError('cargo built the guest agent but does not say where it is.')
}

/** Puts the program in place at once, as sandboxes may be using the old one. */
function install(program, binary) {
  mkdirSync(dirname(binary), { recursive: true })
  const temporary = `${binary}.${process.pid}`
  copyFileSync(program, temporary)
  chmodSync(temporary, 0o755)
  renameSync(temporary, binary)
}
