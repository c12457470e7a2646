/**
 * `npm test [-- --only lint,unit] [-- --mode header|domain|debug|all]`: prepares the machine, runs every suite, ends with one line of numbers. The exit
 * code is 0 only when all that was to be run ran and passed: a skipped test fails the run, as does a suite without
 * tests.
 */
import { parseArgs } from 'node:util'
import { setUp } from './setup/set-up.mjs'
import { summaryLine } from './test/results.mjs'
import { modes, suites } from './test/suites.mjs'

const { chosen, isWhole } = chooseSuites(process.argv.slice(2))
await setUp('test')

const total = { passed: 0, failed: 0, skipped: 0 }
const failures = []
for (const suite of chosen) {
  console.log(`\n== ${suite.title}`)
  const startedAt = performance.now()
  const { failures: said = [], ...counts } = await suite.run({ isWhole })
  const silent = counts.failed > 0 && said.length === 0 ? [`${suite.title}: see its output`] : []
  failures.push(...said, ...silent)
  for (const key of Object.keys(total)) total[key] += counts[key]
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(`-- ${suite.title}: ${summaryLine(counts)} (${seconds} s)`)
}
if (failures.length > 0) console.log(`\n== What failed\n${failures.join('\n')}`)
console.log(`\n${summaryLine(total)}`)
process.exitCode = total.failed + total.skipped > 0 ? 1 : 0

/**
 * The suites that `--only` names, else all of them. `--mode` takes those of one mode, or all with nothing left out:
 * without it domain mode has a choice of its tests.
 */
function chooseSuites(args) {
  const { values } = parseArgs({ args, options: { only: { type: 'string' }, mode: { type: 'string' } } })
  const inMode = values.mode === undefined || values.mode === 'all' ? suites : suitesOf(values.mode)
  const isWhole = values.mode !== undefined
  if (values.only === undefined) return { chosen: inMode, isWhole }
  const names = values.only.split(',')
  requireKnown(
    names,
    suites.map((suite) => suite.name),
  )
  return { chosen: inMode.filter((suite) => names.includes(suite.name)), isWhole }
}

function suitesOf(mode) {
  requireKnown([mode], [...modes, 'all'])
  return suites.filter((suite) => suite.mode === mode)
}

function requireKnown(names, known) {
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  console.error(`Unknown: ${unknown.join(', ')}. Known are: ${known.join(', ')}.`)
  process.exit(1)
}
