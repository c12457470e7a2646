/**
 * What people see of the setup, on standard error: on a terminal one line that shows what happens, in other places plain
 * lines, and one now and then while a step takes long. Steps may be under way side by side.
 */
import { wordsFor } from './tool-words.mjs'

const terminalRefreshMs = 200
const plainRefreshMs = 30_000

/**
 * What a step does now, in our words; with `isOutput` a line that another program printed, which is shown in our words
 * or not at all.
 *
 * @typedef {(text: string, options?: { isOutput?: boolean }) => void} Progress
 */

/**
 * @typedef {object} StepReport of a step that is under way
 * @property {Progress} progress
 * @property {() => void} end the step is done
 * @property {() => void} fail the step failed; the error is printed by whoever catches it
 *
 * @typedef {object} Report
 * @property {(name: string) => StepReport} begin a step starts
 * @property {(line: string) => void} note something else to know
 */

/**
 * @param {{ stream?: NodeJS.WriteStream, verbose?: boolean }} [options] `verbose`: print all that commands print
 * @returns {Report}
 */
export function createReport({
  stream = process.stderr,
  verbose = process.env.E2B_SETUP_VERBOSE === '1',
} = {}) {
  const live = stream.isTTY === true && !verbose
  const underWay = new Set()
  const line = (text) => stream.write(`${live ? '\r\x1b[2K' : ''}setup: ${text}\n`)
  const draw = () => {
    const each = [...underWay].map(
      ({ name, startedAt, detail }) => `${name} (${elapsed(startedAt)}) ${detail}`,
    )
    stream.write(`\r\x1b[2K${`setup: ${each.join(' | ')}`.slice(0, (stream.columns ?? 80) - 1)}`)
  }

  return {
    begin(name) {
      const step = { name, startedAt: performance.now(), detail: '' }
      underWay.add(step)
      if (live) draw()
      else line(`${name} …`)
      const tell = () => line(`${name}: ${step.detail || 'still at it'} (${elapsed(step.startedAt)})`)
      const timer = setInterval(live ? draw : tell, live ? terminalRefreshMs : plainRefreshMs)
      timer.unref()
      const close = (how) => {
        clearInterval(timer)
        underWay.delete(step)
        line(`${name}: ${how} (${elapsed(step.startedAt)})`)
      }
      return {
        progress(text, { isOutput = false } = {}) {
          // Control characters in a command's output would move the cursor.
          // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
          const said = text.replace(/\x1b\[[\d;?]*[A-Za-z]|[\x00-\x1f\x7f]/g, ' ').trim()
          if (verbose) line(`${name}: ${said}`)
          step.detail = (isOutput ? wordsFor(said) : said) ?? step.detail
        },
        end: () => close('done'),
        fail: () => close('failed'),
      }
    },
    note: line,
  }
}

const elapsed = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`
