/** What people need to know of the lines that other programs print: which of them say that something goes on, and what. */
const known = [
  [/^(?:Get|Hit|Ign):\d+ /, () => 'downloading packages'],
  [/^Unpacking ([\w.+-]+)/, (name) => `unpacking ${name}`],
  [/^Setting up ([\w.+-]+)/, (name) => `setting up ${name}`],
  [/^npm http /, () => 'downloading packages'],
  [/\b(?:CC|CXX|AR|SOLINK_MODULE|COPY|ACTION)\(target\)/, () => 'compiling SQLite (a minute or two)'],
  [/^Download(?:ing|ed) /, () => 'downloading packages'],
  [/^Compiling ([\w-]+) v\d/, (name) => `compiling ${name}`],
  [/^Collecting ([\w.-]+)/, (name) => `downloading ${name}`],
  [/^Installing collected packages/, () => 'installing packages'],
]

/**
 * A program's line in our words, or undefined where it says nothing that people could use.
 *
 * @param {string} line
 * @returns {string | undefined}
 */
export function wordsFor(line) {
  for (const [pattern, words] of known) {
    const match = pattern.exec(line)
    if (match !== null) return words(match[1])
  }
  return undefined
}
