/** What has failed in a run is tried once more; what passes then is flaky: counted as passed, and named. */

/** More failed tests than this in one suite aren't a passing fault, and none of them is run again. */
const againMax = 10

/**
 * @typedef {import('./results.mjs').Results} Results
 * @typedef {import('./results.mjs').Failure} Failure
 * @typedef {{ suite: import('./suites.mjs').Suite, results: Results }} Outcome
 */

/**
 * Runs each failed test again, one by one and with nothing beside it.
 *
 * @param {Outcome[]} outcomes
 * @param {(suite: Outcome['suite'], failure: Failure) => Promise<boolean>} passesAgain whether it passes now
 * @returns {Promise<{ outcomes: Outcome[], flaky: Failure[] }>} `outcomes`: with what is flaky among the passed
 */
export async function runFailedAgain(outcomes, passesAgain) {
  const flaky = []
  const settled = []
  for (const { suite, results } of outcomes) {
    const passed = []
    const candidates = results.failures.filter(({ test }) => test !== undefined && suite.again !== undefined)
    if (candidates.length <= againMax) {
      for (const failure of candidates) if (await passesAgain(suite, failure)) passed.push(failure)
    }
    flaky.push(...passed)
    settled.push({ suite, results: withPassed(results, passed) })
  }
  return { outcomes: settled, flaky }
}

/** @returns {Results} */
function withPassed(results, passed) {
  return {
    passed: results.passed + passed.length,
    failed: results.failed - passed.length,
    skipped: results.skipped,
    failures: results.failures.filter((failure) => !passed.includes(failure)),
  }
}

/**
 * Lines that name the flaky tests of a run, and say which of them docs/flaky.md doesn't have.
 *
 * @param {Failure[]} flaky
 * @param {string} page the text of docs/flaky.md, which has each test's name in backquotes
 * @returns {string[]}
 */
export function describeFlaky(flaky, page) {
  return flaky.flatMap(({ name, text }) => {
    const known = page.includes(`\`${name}\``)
      ? 'known to docs/flaky.md'
      : 'NEW: docs/flaky.md needs it, with its cause'
    return [`${name} (${known})`, ...(text === undefined ? [] : [text])]
  })
}
