/** How suites run their tests: all of them, or one alone. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { root } from '../setup/paths.mjs'
import { findCargo } from '../setup/step-rust.mjs'
import { readCargoResults, readVitestResults, skippedTests } from './results.mjs'
import { runtimeOf } from './runtime.mjs'

/**
 * @typedef {import('./results.mjs').Results} Results
 * @typedef {import('./results.mjs').Failure} Failure
 * @typedef {(command: string, args: string[], options?: { cwd?: string, env?: Record<string, string> }) =>
 *   Promise<{ code: number, lines: string[] }>} RunProgram
 * @typedef {{ runProgram: RunProgram, say: (line: string) => void, isDeep: boolean, isWhole: boolean }} Context
 *   `runProgram`: see programs.mjs; what it prints is said. `isWhole`: nothing of a mode is to be left out. `isDeep`:
 *   all counts are to be full
 * @typedef {object} VitestOptions
 * @property {string[]} [prefix] a command that runs vitest as its arguments
 * @property {Record<string, string>} [env] variables for it
 * @property {string[]} [files] only those, if any
 * @property {string[]} [args] more arguments
 * @property {string} [keepAs] where vitest's own report is kept
 */

const reporter = join(root, 'scripts', 'test', 'vitest-reporter.mjs')

/** A program of node_modules that says yes or no: one test. */
export async function check({ runProgram }, program, args) {
  const { code } = await runProgram(join(root, 'node_modules', '.bin', program), args)
  return yesOrNo(code, program)
}

/** A script of ours that says yes or no: one test. */
export async function checkByScript({ runProgram }, script, args, { env } = {}) {
  const { code } = await runProgram(process.execPath, ['--import', 'tsx', script, ...args], { env })
  return yesOrNo(code, script)
}

/** @returns {Results} */
function yesOrNo(code, name) {
  if (code === 0) return { passed: 1, failed: 0, skipped: 0, failures: [] }
  return { passed: 0, failed: 1, skipped: 0, failures: [{ name: `${name}: see its output` }] }
}

/**
 * The tests of a crate. Unoptimized: compiling everything anew takes half a minute either way, and overflows are caught.
 *
 * @param {string} folder
 * @returns {Pick<import('./suites.mjs').Suite, 'run' | 'again'>}
 */
export function cargoSuite(folder) {
  const options = { cwd: join(root, folder) }
  return {
    async run({ runProgram }) {
      const { code, lines } = await runProgram(await cargo(), ['test', '--locked', '--no-fail-fast'], options)
      return readCargoResults(lines, code)
    },
    async again({ runProgram }, { name }) {
      const args = ['test', '--locked', '--', '--exact', name]
      const { code, lines } = await runProgram(await cargo(), args, options)
      const { passed, failed } = readCargoResults(lines, code)
      return passed > 0 && failed === 0
    },
  }
}

const cargo = async () => (await findCargo(root)) ?? 'cargo'

/**
 * @param {Context} context
 * @param {string} project
 * @param {VitestOptions} [options]
 * @returns {Promise<Results>}
 */
export async function vitest(context, project, options = {}) {
  const { keepAs } = options
  if (keepAs !== undefined) rmSync(keepAs, { force: true })
  const { code, report } = await runVitest(context, project, options)
  for (const name of skippedTests(report)) context.say(`skipped: ${name}`)
  return readVitestResults(report, code, root)
}

/**
 * Whether one test passes, alone. If it does and a report is kept, it says so too.
 *
 * @param {Context} context
 * @param {string} project
 * @param {{ file: string, name: string }} test
 * @param {VitestOptions} [options] as for the whole
 * @returns {Promise<boolean>}
 */
export async function vitestAlone(context, project, { file, name }, { keepAs, ...options } = {}) {
  const path = join(root, file)
  const args = [...(options.args ?? []), '--testNamePattern', `^${escapeForRegExp(name)}$`]
  const { code, report } = await runVitest(context, project, { ...options, args, files: [path] })
  const same = (report?.tests ?? []).filter((test) => test.file === path && test.name === name)
  const passes = code === 0 && same.length > 0 && same.every(({ state }) => state === 'passed')
  if (passes && keepAs !== undefined) markPassed(keepAs, { path, name })
  return passes
}

function escapeForRegExp(text) {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

async function runVitest({ runProgram }, project, { keepAs, prefix = [], env = {}, files = [], args = [] }) {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-test-'))
  const [ours, theirs] = [join(folder, 'results.json'), join(folder, 'vitest.json')]
  const keeping = keepAs === undefined ? [] : ['--reporter=json', `--outputFile.json=${theirs}`]
  const reporters = ['--reporter=default', `--reporter=${reporter}`, ...keeping]
  try {
    const [command, ...more] = [
      ...prefix,
      join(root, 'node_modules', '.bin', 'vitest'),
      ...['run', '--project', project, ...reporters, ...args, ...files],
    ]
    const { code } = await runProgram(command, more, {
      env: { E2B_SERVER_RUNTIME: runtimeOf(project), ...env, E2B_TEST_RESULTS: ours },
    })
    if (keepAs !== undefined && readJson(theirs) !== undefined) {
      mkdirSync(dirname(keepAs), { recursive: true })
      copyFileSync(theirs, keepAs)
    }
    return { code, report: readJson(ours) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** In vitest's own report, which names tests as ours does. */
function markPassed(file, { path, name }) {
  const report = readJson(file)
  for (const each of report?.testResults ?? []) {
    if (each.name !== path) continue
    for (const test of each.assertionResults) if (test.fullName === name) test.status = 'passed'
  }
  writeFileSync(file, JSON.stringify(report))
}

/** Undefined where a runner ended before it could write its results. */
function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
