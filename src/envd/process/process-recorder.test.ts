import { expect, test } from 'vitest'
import type { SandboxLogEntry } from '../../domain/sandbox-log.ts'
import { createProcessRecorder } from './process-recorder.ts'

const exit = { exitCode: 0, exited: true, status: 'exit status 0', timedOut: false }
const request = { cmd: 'sh', args: ['-c', 'true'], env: { TOKEN: 'secret of the environment' }, stdin: true }

function record() {
  const entries: SandboxLogEntry[] = []
  const recorder = createProcessRecorder((entry) => entries.push(entry))
  recorder.started(7, request)
  return { recorder, entries, said: () => entries.map(({ level, message }) => `${level}: ${message}`) }
}

test('start, lines and end, of both outputs, whatever pieces they come in', () => {
  const { recorder, entries, said } = record()
  const text = Buffer.from('Grüße\n\nzwei ✓\nno end')
  for (const byte of text) recorder.output('stdout', Buffer.of(byte))
  recorder.output('stderr', Buffer.from('oh no\n'))
  recorder.ended({ ...exit, exitCode: 3, status: 'exit status 3' })
  expect(said()).toEqual([
    'info: process started',
    'info: Grüße',
    'info: ',
    'info: zwei ✓',
    'warn: oh no',
    'info: no end',
    'warn: process ended',
  ])
  expect(entries[0]?.fields).toEqual({ logger: 'process', pid: '7', cmd: 'sh -c true' })
  expect(entries.at(-1)?.fields).toEqual({ logger: 'process', pid: '7', status: 'exit status 3' })
  expect(JSON.stringify(entries)).not.toContain('secret')
  expect([recorder.hasEnded, recorder.isFull, recorder.seenBytes]).toEqual([true, false, text.length + 6])
})

test.each([
  ['bytes', `${'x'.repeat(1023)}\n`.repeat(200), 64],
  ['lines', '\n'.repeat(200_000), 1_000],
])('too many %s end the recording, which says so once', (_, output, lines) => {
  const { recorder, said } = record()
  for (let at = 0; at < output.length; at += 32 * 1024)
    recorder.output('stdout', Buffer.from(output.slice(at, at + 32 * 1024)))
  recorder.ended(exit)
  expect(recorder.isFull).toBe(true)
  expect(recorder.seenBytes).toBe(output.length)
  expect(said().filter((line) => line.includes("isn't logged"))).toHaveLength(1)
  expect(said().at(-1)).toBe('info: process ended')
  // Start, end and the note.
  expect(said().length - 3).toBeGreaterThanOrEqual(lines)
  expect(said().length - 3).toBeLessThanOrEqual(lines + 1)
})

test('long lines are cut, and terminals not recorded', () => {
  const { recorder, entries } = record()
  recorder.output('stdout', Buffer.from(`${'y'.repeat(5_000)}`))
  recorder.output('stdout', Buffer.from(`${'y'.repeat(5_000)}\n`))
  recorder.output('pty', Buffer.from('drawing\n'))
  expect(entries.map(({ message }) => message.length)).toEqual(['process started'.length, 4_096])
})
