/** Lines of the server's log as people read them. */

/** What moves a terminal's cursor or changes its state, and what ends a line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
const controlCharacters = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same, but for the ends of a stack's lines
const controlCharactersOfStacks = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]+/g

/**
 * Makes what turns one line of JSON into text with its newline. What tenants and guests said may be quoted in it, so no
 * string of it reaches the terminal with control characters.
 */
export async function createReadable({ colors }: { colors: boolean }): Promise<(line: string) => string> {
  // Loaded only where somebody reads.
  const { prettyFactory } = await import('pino-pretty')
  const pretty = prettyFactory({
    colorize: colors,
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
    ignore: 'pid,hostname',
    singleLine: true,
  })
  return (line) => {
    try {
      return pretty(JSON.parse(line, harmless)) ?? ''
    } catch {
      return `${withoutControls(line)}\n`
    }
  }
}

/** A text that stays on its line. */
function withoutControls(text: string): string {
  return text.replace(controlCharacters, ' ').trim()
}

function harmless(name: string, value: unknown): unknown {
  if (typeof value === 'string') {
    return name === 'stack' ? value.replace(controlCharactersOfStacks, ' ') : withoutControls(value)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [withoutControls(key), member]))
}
