/**
 * What people see of the setup, on standard error: on a terminal one line for each step that shows what happens, in
 * other places plain lines, and one now and then while a step takes long.
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
 * @typedef {object} Report
 * @property {(name: string) => void} begin a step starts
 * @property {Progress} progress
 * @property {() => void} end the step is done
 * @property {() => void} fail the step failed; the error is printed by whoever catches it
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
  let step = ''
  let detail = ''
  let startedAt = 0
  let timer

  const line = (text) => stream.write(`${live ? '\r\x1b[2K' : ''}setup: ${text}\n`)
  const elapsed = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
  const draw = () => {
    const text = `setup: ${step} (${elapsed()}) ${detail}`
    stream.write(`\r\x1b[2K${text.slice(0, (stream.columns ?? 80) - 1)}`)
  }

  return {
    begin(name) {
      step = name
      detail = ''
      startedAt = performance.now()
      if (live) draw()
      else line(`${step} …`)
      const refresh = live ? draw : () => line(`${step}: ${detail || 'still at it'} (${elapsed()})`)
      timer = setInterval(refresh, live ? terminalRefreshMs : plainRefreshMs)
      timer.unref()
    },
    progress(text, { isOutput = false } = {}) {
      // Control characters in a command's output would move the cursor.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
      const said = text.replace(/\x1b\[[\d;?]*[A-Za-z]|[\x00-\x1f\x7f]/g, ' ').trim()
      if (verbose) line(`${step}: ${said}`)
      detail = (isOutput ? wordsFor(said) : said) ?? detail
    },
    end() {
      clearInterval(timer)
      line(`${step}: done (${elapsed()})`)
    },
    fail() {
      clearInterval(timer)
      line(`${step}: failed (${elapsed()})`)
    },
    note: line,
  }
}
