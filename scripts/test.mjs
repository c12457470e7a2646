/**
 * `npm test [-- --only lint,unit] [-- --mode header|domain|debug|all] [-- --deep]`: prepares the machine, runs every
 * suite, ends with one line of numbers. The exit code is 0 only when all that was to be run ran and passed: a skipped
 * test fails the run, as does a suite without tests. A failed test is run again, once and alone; if it passes then it
 * counts as passed and is named as flaky.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './setup/paths.mjs'
import { setUp } from './setup/set-up.mjs'
import { choose } from './test/choose.mjs'
import { describeFlaky, runFailedAgain } from './test/flaky.mjs'
import { createPreparation } from './test/preparation.mjs'
import { createPrograms } from './test/programs.mjs'
import { summaryLine } from './test/results.mjs'
import { runSideBySide } from './test/side-by-side.mjs'
import { createSuiteRunner } from './test/suite-runner.mjs'
import { suites } from './test/suites.mjs'

/** Suites at a time. They wait more than they compute, so four fit on two cores. */
const lanes = 4

const begunAt = performance.now()
const options = chooseOrExit(process.argv.slice(2))
const programs = createPrograms()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => interrupt(signal))
const { onDone, onAllDone, whenReady } = createPreparation()
const prepared = setUp('test', { onDone, beforeExit: programs.endAll }).then(() => {
  onAllDone()
  return performance.now() - begunAt
})

const first = options.chosen.filter(({ isLast }) => !isLast)
const runner = createSuiteRunner({ programs, options, isAlone: options.chosen.length === 1, print })
const together = await runner.watch(() => runSideBySide(first, { lanes, run: runner.run, whenReady }))
const preparationMs = await prepared
const { outcomes, flaky } = await runFailedAgain(together, runner.runAgain)
for (const suite of options.chosen.filter(({ isLast }) => isLast)) outcomes.push(await runner.run(suite))
finish(outcomes, flaky)

function finish(outcomes, flaky) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const { results } of outcomes) for (const key of Object.keys(total)) total[key] += results[key]
  const failures = outcomes.flatMap(({ suite, results }) =>
    results.failures.map(({ name, text }) => [`${suite.name}: ${name}`, ...(text ? [text] : [])].join('\n')),
  )
  if (failures.length > 0) print(`\n== What failed\n${failures.join('\n')}`)
  if (flaky.length > 0) print(`\n== Flaky: ${flaky.length}\n${describeFlaky(flaky, flakyPage()).join('\n')}`)
  print(
    `\n== How long it took\n${runner.table({ preparationMs, totalMs: performance.now() - begunAt }).join('\n')}`,
  )
  print(`\n${summaryLine(total)}`)
  process.exitCode = total.failed + total.skipped > 0 ? 1 : 0
}

/** Ends as the signal would have ended this, but for what runs below it. */
async function interrupt(signal) {
  print(`\n${signal}: ending what runs.`)
  await programs.endAll()
  process.kill(process.pid, signal)
}

function flakyPage() {
  const file = join(root, 'docs', 'flaky.md')
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

function chooseOrExit(args) {
  try {
    return choose(args, suites)
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}

function print(text) {
  process.stdout.write(`${text}\n`)
}
