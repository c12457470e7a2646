/** How many tests a runner ran, from what it says. A runner that fails always counts at least one failed test. */
import { relative } from 'node:path'

/**
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {object} Failure
 * @property {string} name of a test, or of what went wrong outside of tests
 * @property {string} [text] the beginning of what it said
 * @property {{ file?: string, name: string }} [test] where it is one test, which can be run again alone
 * @typedef {Counts & { failures: Failure[] }} Results `failures`: as many as `failed`
 */

/**
 * From the output of `cargo test`, which has one result line for each of the crate's test programs.
 *
 * @param {string[]} lines
 * @param {number} code cargo's exit code
 * @returns {Results}
 */
export function readCargoResults(lines, code) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const line of lines) {
    const match = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line)
    if (match === null) continue
    counts.passed += Number(match[1])
    counts.failed += Number(match[2])
    counts.skipped += Number(match[3])
  }
  const names = lines.flatMap(
    (line) => /^test (.+?)(?: - should panic)? \.\.\. FAILED$/.exec(line)?.[1] ?? [],
  )
  const failures = names.map((name) => ({ name, test: { name } }))
  return withRunner({ ...counts, failures }, code, 'cargo test')
}

/**
 * From what scripts/test/vitest-reporter.mjs has written.
 *
 * @param {any} report undefined where there is none
 * @param {number} code vitest's exit code
 * @param {string} root files are named from there
 * @returns {Results}
 */
export function readVitestResults(report, code, root) {
  const { tests = [], errors = [] } = report ?? {}
  const nameOf = (file) => relative(root, file)
  const failures = [
    ...errors.map(({ file, text }) => ({
      name: file === undefined ? 'outside of tests' : nameOf(file),
      text: beginningOf(text),
    })),
    ...tests
      .filter(({ state }) => state === 'failed')
      .map(({ file, name, text }) => ({
        name: `${nameOf(file)}: ${name}`,
        text: beginningOf(text),
        test: { file: nameOf(file), name },
      })),
  ]
  const count = (wanted) => tests.filter(({ state }) => state === wanted).length
  const counts = { passed: count('passed'), failed: failures.length, skipped: count('skipped') }
  return withRunner({ ...counts, failures }, code, 'vitest')
}

/**
 * The names of the tests that vitest skipped: they fail the run, so people need to find them.
 *
 * @param {any} report undefined where there is none
 * @returns {string[]}
 */
export function skippedTests(report) {
  const skipped = (report?.tests ?? []).filter(({ state }) => state === 'skipped')
  return skipped.map(({ file, name }) => `${file}: ${name}`)
}

/** Lines of one failure's text that a run repeats at its end, and characters of each. */
const failureLinesMax = 6
const failureLineMax = 300

function beginningOf(text) {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return lines
    .slice(0, failureLinesMax)
    .map((line) => `  ${line.slice(0, failureLineMax)}`)
    .join('\n')
}

/**
 * A runner that failed without saying of what, that saw no test or that counted more failures than it named has failed
 * by itself.
 */
function withRunner(results, code, runner) {
  const { passed, skipped, failures } = results
  const failed = Math.max(results.failed, failures.length)
  const unnamed = Array.from({ length: failed - failures.length }, () => ({
    name: `${runner}: a failed test without a name; see its output`,
  }))
  const sawNone = passed + failed + skipped === 0
  const failedItself = code !== 0 && failed === 0
  const itself = sawNone || failedItself ? [{ name: `${runner} ended with ${code}; see its output` }] : []
  const all = [...failures, ...unnamed, ...itself]
  return { passed, failed: all.length, skipped, failures: all }
}

/**
 * A suite that must have so many tests fails without them, though each that it has passes. A failed one counts: it fails
 * the run itself, or holds when it is run again.
 *
 * @param {Results} results
 * @param {number} min
 * @returns {Results}
 */
export function requireAtLeast(results, min) {
  const count = results.passed + results.failed
  if (count >= min) return results
  const failure = { name: `${count} tests, of which there must be at least ${min}` }
  return { ...results, failed: results.failed + 1, failures: [...results.failures, failure] }
}

/**
 * The last line of a test run.
 *
 * @param {Counts} counts
 */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
