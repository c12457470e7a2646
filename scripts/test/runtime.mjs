/**
 * The one place that says which runtime the suites about whole servers run on: conformance in all its modes, stock templates,
 * chaos, soak and security. In deep runs each runs on the other one too. `E2B_SERVER_RUNTIME=native npm test -- --only security`
 * runs one on another.
 */

/** @typedef {'docker' | 'native' | 'gvisor'} TestedRuntime */

/** @type {TestedRuntime} */
const defaultRuntime = 'docker'

/**
 * Suites that run on another, by name.
 *
 * @type {Record<string, TestedRuntime>}
 */
const ofSuite = {
  chaos: 'native',
  conformance: 'native',
  'conformance-debug': 'native',
  security: 'native',
}

/**
 * What a suite of `npm test` runs on.
 *
 * @param {string} suite
 * @returns {TestedRuntime}
 */
export function runtimeOf(suite) {
  return process.env.E2B_SERVER_RUNTIME === undefined ? (ofSuite[suite] ?? defaultRuntime) : testedRuntime()
}

/**
 * What else there is to run it on.
 *
 * @param {string} suite
 * @returns {TestedRuntime}
 */
export function otherRuntimeOf(suite) {
  return runtimeOf(suite) === 'docker' ? 'native' : 'docker'
}

/** As it was asked for, for this process and its children. Errors: one that these suites don't know. */
export function testedRuntime() {
  const name = process.env.E2B_SERVER_RUNTIME ?? defaultRuntime
  if (name !== 'docker' && name !== 'native' && name !== 'gvisor')
    throw new Error(`E2B_SERVER_RUNTIME=${name}: tests of servers run on docker, native or gvisor.`)
  process.env.E2B_SERVER_RUNTIME = name
  return name
}
