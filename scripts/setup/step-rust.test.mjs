import { expect, test } from 'vitest'
import { parsePolicy } from './apt.mjs'
import { root } from './paths.mjs'
import { oldestRust, pickToolchain } from './step-rust.mjs'

const policy = `rustc:
  Installed: (none)
  Candidate: 1.63.0+dfsg1-2
  Version table:
     1.63.0+dfsg1-2 500
rustc-web:
  Installed: (none)
  Candidate: 1.85.0+dfsg3-1
cargo-1.89:
  Installed: (none)
  Candidate: (none)`.split('\n')

test('apt’s answer is read, without packages that it can’t install', () => {
  expect(parsePolicy(policy)).toEqual(
    new Map([
      ['rustc', '1.63.0+dfsg1-2'],
      ['rustc-web', '1.85.0+dfsg3-1'],
    ]),
  )
})

test('the newest toolchain is taken, if it will do', () => {
  const known = parsePolicy(policy)
  expect(pickToolchain(known, '1.63')).toEqual(['rustc-web', 'cargo-web'])
  expect(pickToolchain(new Map([['rustc', '1.85.0']]), '1.63')).toEqual(['rustc', 'cargo'])
  expect(() => pickToolchain(new Map(), '1.63')).toThrow('no Rust')
  expect(() => pickToolchain(known, '1.90')).toThrow('no Rust 1.90 or newer')
})

test('the manifest says which Rust the agent needs', () => {
  expect(oldestRust(root)).toMatch(/^1\.\d+/)
})
