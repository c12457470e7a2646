/** How many tests a runner ran, from what it says. A runner that fails always counts at least one failed test. */

/**
 * From the output of `cargo test`, which has one result line for each of the crate's test programs.
 *
 * @param {string[]} lines
 * @param {number} code cargo's exit code
 * @returns {import('./suites.mjs').Counts}
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
  return withRunner(counts, code)
}

/**
 * From vitest's JSON report.
 *
 * @param {any} report undefined where there is none
 * @param {number} code vitest's exit code
 * @returns {import('./suites.mjs').Counts}
 */
export function readVitestResults(report, code) {
  const counts = {
    passed: report?.numPassedTests ?? 0,
    failed: report?.numFailedTests ?? 0,
    skipped: (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0),
  }
  return withRunner(counts, code)
}

/**
 * The names of the tests that vitest skipped: they fail the run, so people need to find them.
 *
 * @param {any} report undefined where there is none
 * @returns {string[]}
 */
export function skippedTests(report) {
  const tests = (report?.testResults ?? []).flatMap(({ name, assertionResults }) =>
    assertionResults.map((test) => ({ ...test, file: name })),
  )
  return tests
    .filter(({ status }) => ['skipped', 'pending', 'todo'].includes(status))
    .map(({ file, fullName }) => `${file}: ${fullName}`)
}

/** Lines of one failure's text that a run repeats at its end, and characters of each. */
const failureLinesMax = 6
const failureLineMax = 300

/**
 * What failed in a run of `cargo test`: the names of its tests.
 *
 * @param {string[]} lines
 */
export function cargoFailures(lines) {
  return lines.flatMap((line) => /^test (.+) \.\.\. FAILED$/.exec(line)?.[1] ?? [])
}

/**
 * What failed in a run of vitest, and the beginning of what each said: a long run repeats it where its reader looks.
 *
 * @param {any} report undefined where there is none
 * @returns {string[]}
 */
export function vitestFailures(report) {
  return (report?.testResults ?? []).flatMap(({ name, message, assertionResults }) => {
    const tests = assertionResults.filter(({ status }) => status === 'failed')
    const failures = tests.map((test) =>
      describe(`${name}: ${test.fullName}`, test.failureMessages.join('\n')),
    )
    return message ? [describe(name, message), ...failures] : failures
  })
}

function describe(name, text) {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return [name, ...lines.slice(0, failureLinesMax).map((line) => `  ${line.slice(0, failureLineMax)}`)].join(
    '\n',
  )
}

/** A runner that failed without a failed test (a file that can't be loaded), or that saw none, is a failure too. */
function withRunner(counts, code) {
  const sawNone = counts.passed + counts.failed + counts.skipped === 0
  const failedItself = code !== 0 && counts.failed === 0
  return sawNone || failedItself ? { ...counts, failed: counts.failed + 1 } : counts
}

/**
 * The last line of a test run.
 *
 * @param {import('./suites.mjs').Counts} counts
 */
export function summaryLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}
