/**
 * Writes what a run of vitest found to the file that E2B_TEST_RESULTS names: each test by the name that `-t` knows, and
 * what went wrong outside of tests, which vitest's own JSON says only with its exit code.
 */
import { writeFileSync } from 'node:fs'

export default class ResultsReporter {
  /**
   * @param {readonly import('vitest/node').TestModule[]} modules
   * @param {readonly { name: string, message: string, stack?: string }[]} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    const file = process.env.E2B_TEST_RESULTS
    if (file === undefined) return
    const tests = modules.flatMap((module) => [...module.children.allTests()].map(testOf))
    const errors = [
      ...modules.flatMap((module) =>
        [module, ...module.children.allSuites()].flatMap((suite) =>
          suite.errors().map((error) => ({ file: module.moduleId, text: textOf(error) })),
        ),
      ),
      ...unhandledErrors.map((error) => ({ text: textOf(error) })),
    ]
    writeFileSync(file, JSON.stringify({ tests, errors }))
  }
}

function testOf(test) {
  const { state, errors } = test.result()
  const titles = [test.name]
  for (let parent = test.parent; parent.type === 'suite'; parent = parent.parent) titles.unshift(parent.name)
  return {
    file: test.module.moduleId,
    name: titles.join(' '),
    state: state === 'passed' || state === 'failed' ? state : 'skipped',
    text: (errors ?? []).map(textOf).join('\n'),
  }
}

function textOf({ name, message, stack, stacks }) {
  const place = stacks?.[0]
  const where =
    place === undefined
      ? (stack ?? '').split('\n').slice(1, 3).join('\n')
      : `  at ${place.file}:${place.line}`
  return `${name}: ${message}\n${where}`
}
