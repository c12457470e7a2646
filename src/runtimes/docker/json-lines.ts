/** Longest line that is taken, in characters */
const lineMaxLength = 1 << 20

/** A stream of JSON values, one a line. Throws on what isn't JSON and on a line that is too long. */
export async function* jsonLines(stream: AsyncIterable<string | Buffer>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder()
  let pending = ''
  for await (const chunk of stream) {
    pending += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    const lines = pending.split('\n')
    pending = lines.pop() ?? ''
    if (pending.length > lineMaxLength) throw new Error('A line of the engine is too long.')
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line)
  }
  if (pending.trim() !== '') yield JSON.parse(pending)
}
