/** Everything that `npm test` runs, in its order: what is quick to fail comes first. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { root } from '../setup/paths.mjs'
import { findCargo } from '../setup/step-rust.mjs'
import { inDomainMode } from './domain-mode.mjs'
import {
  cargoFailures,
  readCargoResults,
  readVitestResults,
  skippedTests,
  vitestFailures,
} from './results.mjs'
import { runVisibly } from './run-visibly.mjs'

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {Counts & { failures?: string[] }} Results `failures`: what there is to say of what failed
 * @typedef {{ name: string, title: string, mode?: string, run: (options: { isWhole: boolean }) => Promise<Results> }} Suite
 *   `mode`: one of `modes`; `isWhole`: a mode was asked for, and no test of it is to be left out
 */

/** Vitest's report of the conformance tests */
const conformanceReport = join(root, 'build', 'results', 'conformance.json')

/** @type {Suite[]} */
export const suites = [
  { name: 'lint', title: 'Format and lint', run: () => check('biome', ['check', '.']) },
  { name: 'types', title: 'Types', run: () => check('tsc', ['--noEmit']) },
  { name: 'dead-code', title: 'Dead code', run: () => check('knip', []) },
  { name: 'guest', title: 'Guest agent', run: cargoTest },
  { name: 'unit', title: 'Unit tests', run: () => vitest('unit') },
  { name: 'docker', title: 'Docker runtime', run: () => vitest('docker') },
  {
    name: 'model',
    title: 'Random schedules with faults against a model',
    run: () => vitest('model', { args: ['--maxWorkers=2'] }),
  },
  { name: 'fuzz', title: 'Parsers against random input', run: () => vitest('fuzz') },
  {
    name: 'conformance',
    title: 'Official SDKs against the server, in header mode',
    mode: 'header',
    run: () => vitest('conformance', { keepAs: conformanceReport }),
  },
  {
    name: 'compat',
    title: "Claims of docs/compat.md, from the last run of 'conformance'",
    mode: 'header',
    run: checkClaims,
  },
  {
    name: 'conformance-domain',
    title: 'Official SDKs against the server, in domain mode with TLS and DNS',
    mode: 'domain',
    run: ({ isWhole }) =>
      inDomainMode((around) =>
        vitest('conformance-domain', { ...around, files: isWhole ? [] : filesAboutNames }),
      ),
  },
  {
    name: 'conformance-debug',
    title: 'Official SDKs against the server, in debug mode',
    mode: 'debug',
    run: () => vitest('conformance-debug', { env: { E2B_TEST_MODE: 'debug' } }),
  },
]

/**
 * What runs in domain mode when no mode is asked for: the rest depends little on how the server is found, and has been
 * through header mode by then.
 */
const filesAboutNames = [
  'domain/',
  'browser',
  'ports',
  'http2',
  'files',
  'sandbox',
  'examples',
  'many',
  'python',
].map((name) => `tests/conformance/${name}`)

/** Ways for SDKs to find the server that whole suites are about. */
export const modes = ['header', 'domain', 'debug']

/** A program of node_modules that says yes or no: one test. */
async function check(program, args) {
  const { code } = await runVisibly(join(root, 'node_modules', '.bin', program), args, { cwd: root })
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}

/** Unoptimized: compiling everything anew takes half a minute either way, and overflows are caught. */
async function cargoTest() {
  const cargo = await findCargo(root)
  const { code, lines } = await runVisibly(cargo ?? 'cargo', ['test', '--locked', '--no-fail-fast'], {
    cwd: join(root, 'guest'),
  })
  return { ...readCargoResults(lines, code), failures: cargoFailures(lines) }
}

/** What docs/compat.md claims and that run didn't show: one test. */
async function checkClaims() {
  const script = join(root, 'tests', 'conformance', 'compat', 'check.ts')
  const args = ['--import', 'tsx', script, conformanceReport]
  const { code } = await runVisibly(process.execPath, args, { cwd: root })
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}

/** `prefix`: a command that runs vitest as its arguments; `env`: variables for it; `files`: only those, if any. */
async function vitest(project, { keepAs, prefix = [], env = {}, files = [], args: more = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-test-'))
  const file = join(folder, 'results.json')
  try {
    if (keepAs !== undefined) rmSync(keepAs, { force: true })
    const [command, ...args] = [
      ...prefix,
      join(root, 'node_modules', '.bin', 'vitest'),
      ...['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
      ...more,
      ...files,
    ]
    const { code } = await runVisibly(command, args, { cwd: root, env })
    const report = readJson(file)
    if (keepAs !== undefined && report !== undefined) {
      mkdirSync(dirname(keepAs), { recursive: true })
      copyFileSync(file, keepAs)
    }
    for (const name of skippedTests(report)) console.log(`skipped: ${name}`)
    return { ...readVitestResults(report, code), failures: vitestFailures(report) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Undefined where a runner ended before it could write its results. */
function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
