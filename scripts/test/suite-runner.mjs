import { root } from '../setup/paths.mjs'
import { summaryLine } from './results.mjs'
import { createSuiteLog } from './suite-log.mjs'

/** Longest time for one program of a suite, and of one of a deep run, in milliseconds. */
const programMaxMs = 30 * 60_000
const deepProgramMaxMs = 180 * 60_000
/** How often somebody who waits is told what runs, in milliseconds. */
const progressMs = 30_000

/**
 * Runs suites and prints what they say: each one's output whole at its end, or as it comes where there is only one.
 *
 * @param {{ programs: import('./programs.mjs').Programs, options: { isWhole: boolean, isDeep: boolean },
 *   isAlone: boolean, print: (text: string) => void }} parts
 */
export function createSuiteRunner({ programs, options, isAlone, print }) {
  const begunAt = performance.now()
  const underWay = new Map()
  const rows = []

  /** Calls `work` with what a suite is run in, and shows what it said under a heading. */
  async function inSight(name, title, work) {
    const log = createSuiteLog(isAlone ? { show: print } : {})
    if (isAlone) print(`\n== ${title}`)
    const startedAt = performance.now()
    underWay.set(name, { startedAt, log })
    const maxMs = options.isDeep ? deepProgramMaxMs : programMaxMs
    const runProgram = (command, args, { cwd = root, env } = {}) =>
      programs.run(command, args, { cwd, env: { ...deepEnv(options), ...env }, maxMs, say: log.say })
    const { value, closing } = await work({ ...options, runProgram, say: log.say })
    underWay.delete(name)
    const ms = performance.now() - startedAt
    rows.push({ name, ms, closing })
    if (!isAlone) print([`\n== ${title}`, ...log.lines()].join('\n'))
    print(`-- ${title}: ${closing} (${durationOf(ms)})`)
    return value
  }

  return {
    run: (suite) =>
      inSight(suite.name, suite.title, async (context) => {
        const results = await suite.run(context)
        return { value: { suite, results }, closing: summaryLine(results) }
      }),
    /** Whether a failed test passes now. */
    runAgain: (suite, { name, test }) =>
      inSight(`again: ${suite.name}`, `Again, alone: ${name}`, async (context) => {
        const passes = await suite.again(context, test)
        return { value: passes, closing: passes ? 'passed this time' : 'failed again' }
      }),
    /** Tells those who wait what runs, as long as `work` takes. */
    async watch(work) {
      const timer = setInterval(() => {
        if (!isAlone && underWay.size > 0) print(progressLine(performance.now() - begunAt, underWay))
      }, progressMs)
      try {
        return await work()
      } finally {
        clearInterval(timer)
      }
    },
    /** @param {{ preparationMs: number, totalMs: number }} times of all that was beside the suites, and of all of the run */
    table({ preparationMs, totalMs }) {
      const preparation = { name: 'preparation', ms: preparationMs, closing: '' }
      const whole = { name: 'the whole run', ms: totalMs, closing: '' }
      return [preparation, ...rows, whole].map(rowOf)
    },
  }
}

function progressLine(ms, underWay) {
  const each = [...underWay].map(([name, { startedAt, log }]) => {
    const last = log.last()
    return `${name} for ${durationOf(performance.now() - startedAt)}${last === '' ? '' : ` (${last})`}`
  })
  return `.. ${durationOf(ms)}: ${each.join(' | ')}`
}

function rowOf({ name, ms, closing }) {
  return `${name.padEnd(20)} ${durationOf(ms).padStart(6)}  ${closing}`.trimEnd()
}

/** What tests see of a deep run. */
function deepEnv({ isDeep }) {
  return isDeep ? { E2B_TEST_DEEP: '1' } : {}
}

/** Minutes and seconds. */
function durationOf(ms) {
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
