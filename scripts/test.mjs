/**
 * `npm test [-- --only lint,unit]`: prepares the machine, runs every suite, ends with one line of numbers. The exit
 * code is 0 only when all that was to be run ran and passed: a skipped test fails the run, as does a suite without
 * tests.
 */
import { parseArgs } from 'node:util'
import { setUp } from './setup/set-up.mjs'
import { summaryLine } from './test/results.mjs'
import { suites } from './test/suites.mjs'

const chosen = chooseSuites(process.argv.slice(2))
await setUp('test')

const total = { passed: 0, failed: 0, skipped: 0 }
for (const suite of chosen) {
  console.log(`\n== ${suite.title}`)
  const startedAt = performance.now()
  const counts = await suite.run()
  for (const key of Object.keys(total)) total[key] += counts[key]
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`-- ${suite.title}: ${summaryLine(counts)} (${seconds} s)`)
}
console.log(`\n${summaryLine(total)}`)
process.exitCode = total.failed + total.skipped > 0 ? 1 : 0

/** The suites that `--only` names, else all of them. */
function chooseSuites(args) {
  const { values } = parseArgs({ args, options: { only: { type: 'string' } } })
  if (values.only === undefined) return suites
  const names = values.only.split(',')
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name))
  if (unknown.length > 0) {
    console.error(
      `Unknown: ${unknown.join(', ')}. Known are: ${suites.map((suite) => suite.name).join(', ')}.`,
    )
    process.exit(1)
  }
  return suites.filter((suite) => names.includes(suite.name))
}
