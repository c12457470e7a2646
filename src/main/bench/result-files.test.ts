import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { ConfigError } from '../config.ts'
import { bench } from './bench.ts'
import { benchUntilSignal } from './request.ts'

const folder = mkdtempSync(join(tmpdir(), 'e2b-bench-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A run in which nothing is measured: what it printed, and what it ended with. */
async function run(files: { json?: string; svg?: string }): Promise<{ lines: string[]; error: unknown }> {
  const given = { sandboxUrl: undefined, apiKey: 'key', runtime: 'auto', isQuick: true, only: [], idle: 0 }
  const nowhere = { url: 'http://127.0.0.1:1', compare: undefined, json: undefined, svg: undefined }
  const lines: string[] = []
  const say = { print: (line: string) => void lines.push(line), progress: () => {} }
  const io = { program: [], signal: AbortSignal.abort(), ...say }
  const error = await bench({ ...given, ...nowhere, ...files }, io).catch((thrown) => thrown)
  return { lines, error }
}

test.each(['json', 'svg'])(
  'a path that --%s can’t write to is refused before anything is measured',
  async (flag) => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    for (const path of [join(folder, 'none', 'results'), folder, join(file, 'below')]) {
      const { error, lines } = await run({ [flag]: path })
      expect(lines).toEqual([])
      expect(error).toBeInstanceOf(ConfigError)
      expect((error as Error).message).toContain(`--${flag} can't be written to ${path}: `)
    }
    expect(readdirSync(folder)).toEqual(['file'])
  },
)

test('a disk that is full by the end costs neither the table nor the other file', async () => {
  const svg = join(folder, 'new.svg')
  const { error, lines } = await run({ json: '/dev/full', svg })
  expect(error).toMatchObject({
    message: expect.stringContaining("--json can't be written to /dev/full: ENOSPC"),
  })
  expect(lines.join('\n')).toContain('| measured')
  expect(readFileSync(svg, 'utf8')).toContain('<svg')
})

test('a runtime that there is none of is refused in a sentence', async () => {
  await expect(benchUntilSignal({ runtime: 'foo' })).rejects.toThrow(
    new ConfigError('--runtime must be one of auto, native, docker, gvisor, process'),
  )
})
