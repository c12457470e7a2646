/** A program of ours in Rust: build/e2b-guest from guest/, build/e2b-host from host/. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'
import { hashFiles, readStamp, writeStamp } from './stamp.mjs'
import { findCargo } from './step-rust.mjs'

const buildTimeoutMs = 20 * 60_000
const sources = ['src', 'build.rs', 'Cargo.toml', 'Cargo.lock', '.cargo', 'rust-toolchain.toml']

/**
 * @param {object} options
 * @param {string} options.root the checkout
 * @param {string} options.name what setups call it, such as `guest agent`
 * @param {string} options.does what it is there for
 * @param {string} options.folder its crate, such as `guest`
 * @param {string[]} [options.shared] files of the checkout that it is compiled from beside its crate
 * @param {string} options.binary where it goes
 * @param {string} options.stamp
 */
export function rustProgramStep({ root, name, does, folder, shared = [], binary, stamp }) {
  const crate = join(root, folder)
  const hash = () =>
    [hashFiles(crate, sources), ...(shared.length > 0 ? [hashFiles(root, shared)] : [])].join(' ')
  return {
    name,
    /** What it is, for whoever has built it elsewhere: its sources say all of it, as it needs nothing but a kernel */
    key: () => `${folder}-${process.arch}-${hash().replaceAll(' ', '-')}`,
    isDone: async () => existsSync(binary) && readStamp(stamp) === hash(),
    async takeReady(prebuilt) {
      const before = hash()
      const isTaken = await prebuilt.take(this.key(), binary)
      if (isTaken) writeStamp(stamp, before)
      return isTaken
    },
    run: async (progress) => {
      const before = hash()
      const cargo = await findCargo(root)
      if (cargo === undefined)
        throw new SetupError(`The ${name} needs a Rust toolchain, which can't be found.`)
      progress(`compiling ${does}`)
      const messages = await runCommand(
        cargo,
        ['build', '--release', '--locked', '--message-format=json-render-diagnostics'],
        {
          cwd: crate,
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
  throw new SetupError('cargo built a program but does not say where it is.')
}

/** Puts the program in place at once, as the old one may be running. */
function install(program, binary) {
  mkdirSync(dirname(binary), { recursive: true })
  const temporary = `${binary}.${process.pid}`
  copyFileSync(program, temporary)
  chmodSync(temporary, 0o755)
  renameSync(temporary, binary)
}
