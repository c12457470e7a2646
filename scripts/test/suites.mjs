/** Everything that `npm test` runs, in its order: what is quick to fail comes first. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { root } from '../setup/paths.mjs'
import { findCargo } from '../setup/step-rust.mjs'
import { readCargoResults, readVitestResults, skippedTests } from './results.mjs'
import { runVisibly } from './run-visibly.mjs'

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {{ name: string, title: string, run: () => Promise<Counts> }} Suite
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
  { name: 'fuzz', title: 'Parsers against random input', run: () => vitest('fuzz') },
  {
    name: 'conformance',
    title: 'Official SDKs against the server',
    run: () => vitest('conformance', { keepAs: conformanceReport }),
  },
  { name: 'compat', title: "Claims of docs/compat.md, from the last run of 'conformance'", run: checkClaims },
]

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
  return readCargoResults(lines, code)
}

/** What docs/compat.md claims and that run didn't show: one test. */
async function checkClaims() {
  const script = join(root, 'tests', 'conformance', 'compat', 'check.ts')
  const args = ['--import', 'tsx', script, conformanceReport]
  const { code } = await runVisibly(process.execPath, args, { cwd: root })
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}

async function vitest(project, { keepAs } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-test-'))
  const file = join(folder, 'results.json')
  try {
    if (keepAs !== undefined) rmSync(keepAs, { force: true })
    const { code } = await runVisibly(
      join(root, 'node_modules', '.bin', 'vitest'),
      ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`],
      { cwd: root },
    )
    const report = readJson(file)
    if (keepAs !== undefined && report !== undefined) {
      mkdirSync(dirname(keepAs), { recursive: true })
      copyFileSync(file, keepAs)
    }
    for (const name of skippedTests(report)) console.log(`skipped: ${name}`)
    return readVitestResults(report, code)
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
