/**
 * What one suite says. Suites run side by side, so each one's output is kept and shown whole at its end; of very much
 * of it only the beginning and the end.
 */

const headMax = 500
const tailMax = 2500
const lastMax = 80

/**
 * @param {{ show?: (line: string) => void }} [options] `show`: takes each line as it comes, and none is kept
 */
export function createSuiteLog({ show } = {}) {
  const head = []
  let tail = []
  let left = 0
  let last = ''
  return {
    /** @param {string} line */
    say(line) {
      if (line.trim() !== '') last = withoutColor(line).trim().slice(0, lastMax)
      if (show !== undefined) show(line)
      else if (head.length < headMax) head.push(line)
      else tail.push(line)
      if (tail.length >= 2 * tailMax) {
        left += tail.length - tailMax
        tail = tail.slice(-tailMax)
      }
    },
    /** The last line that isn't empty, for those who wait. */
    last: () => last,
    /** What there is to show at its end. */
    lines() {
      const cut = Math.max(0, tail.length - tailMax)
      const note = left + cut === 0 ? [] : [`… ${left + cut} lines are left out …`]
      return [...head, ...note, ...tail.slice(cut)]
    },
  }
}

function withoutColor(line) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what colours are made of
  return line.replaceAll(/\u001b\[[0-9;]*m/g, '')
}
