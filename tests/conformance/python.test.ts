/** Drives the server with E2B's published Python SDKs, by pytest in environments that the setup makes. */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { neighbour } from '../../src/runtimes/docker/egress.fixture.ts'
import { pythonVersions } from '../support/python.ts'
import { joinSharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

/** One test of one flavor, as conftest.py reports it. */
interface PythonResult {
  file: string
  title: string
  flavor: 'sync' | 'async'
  proves: string[]
  outcome: 'passed' | 'failed' | 'skipped'
  /** What pytest says of a failure */
  message: string
  durationMs: number
}

const folder = join(import.meta.dirname, 'python')
const runTimeoutMs = 10 * 60_000

// The tests are known only after they have run, so they run while this file is collected.
const runs = await runAll()

describe.each(runs)('e2b $version (Python, $flavor)', ({ results, flavor, code, output }) => {
  test('pytest ran to its end', () => {
    expect(code, output).toBeLessThanOrEqual(1)
    expect(results.length, output).toBeGreaterThan(30)
    expect(new Set(results.map((result) => result.flavor))).toEqual(new Set([flavor]))
  })

  for (const result of results) {
    test(`${result.file}: ${result.title}`, proves(...result.proves), () => {
      expect(result.outcome, result.message).toBe('passed')
    })
  }
})

async function runAll() {
  const address = `203.0.113.${randomInt(1, 250)}`
  await using next = await neighbour([address])
  await using _server = await joinSharedServer()
  const flavors = ['sync', 'async'] as const
  return await Promise.all(
    pythonVersions.flatMap((version) =>
      flavors.map((flavor) => runPytest(version, flavor, `${address} ${next.port}`)),
    ),
  )
}

async function runPytest(version: string, flavor: 'sync' | 'async', outside: string) {
  const temporary = mkdtempSync(join(tmpdir(), 'e2b-pytest-'))
  const report = join(temporary, 'report')
  try {
    const python = join(import.meta.dirname, '../../build/python', version, 'bin/python')
    const pytest = spawn(python, ['-m', 'pytest', '-q', '--tb=short', '--no-header'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: runTimeoutMs,
      env: {
        ...process.env,
        E2B_TEST_REPORT: report,
        E2B_TEST_NEIGHBOUR: outside,
        E2B_TEST_FLAVOR: flavor,
        PYTHONDONTWRITEBYTECODE: '1',
      },
    })
    let output = ''
    pytest.stdout.on('data', (text) => (output += text))
    pytest.stderr.on('data', (text) => (output += text))
    const [code] = await once(pytest, 'close')
    return { version, flavor, results: readReport(report), code: code ?? 2, output }
  } finally {
    rmSync(temporary, { recursive: true })
  }
}

/** A test that fails and whose clean-up fails too is reported twice: the first counts. */
function readReport(file: string): PythonResult[] {
  const byName = new Map<string, PythonResult>()
  for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
    const result = JSON.parse(line) as PythonResult
    const name = `${result.flavor} ${result.file} ${result.title}`
    const before = byName.get(name)
    if (before === undefined || before.outcome === 'passed') byName.set(name, result)
  }
  return [...byName.values()]
}
