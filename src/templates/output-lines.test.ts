import { expect, test } from 'vitest'
import { createOutputLines } from './output-lines.ts'

const linesOf = (...pieces: string[]) => {
  const lines = createOutputLines()
  return [...pieces.flatMap((piece) => lines.take(Buffer.from(piece))), ...lines.rest()]
}

test('lines come whole, however the pieces are cut', () => {
  expect(linesOf('one\ntw', 'o\n', '\n', 'thr', 'ee')).toEqual(['one', 'two', 'three'])
})

test('characters that are cut apart are joined', () => {
  const [first, second] = [Buffer.from('ä\n').subarray(0, 1), Buffer.from('ä\n').subarray(1)]
  const lines = createOutputLines()
  expect([...lines.take(first), ...lines.take(second)]).toEqual(['ä'])
})

test('of a progress bar its last state is kept', () => {
  expect(linesOf(' 10%\r 50%\r100%\r\n', 'windows\r\n')).toEqual(['100%', 'windows'])
})

test('a line without an end is broken, and what is held is bounded', () => {
  const lines = linesOf('x'.repeat(10_000))
  expect(lines.map(({ length }) => length)).toEqual([4096, 4096, 1808])
})

test('bytes that are no text become replacement characters', () => {
  const lines = createOutputLines()
  expect(lines.take(Buffer.from([0xff, 0x00, 0x41, 0x0a]))).toEqual(['\ufffdA'])
})
