import { describe, expect, test } from 'vitest'
import { chartOf } from './chart.ts'
import { compareResults } from './compare.ts'
import { machineMemory, shareOf } from './memory.ts'
import {
  type Figure,
  measuredOnce,
  measuredRates,
  measuredTimes,
  type Results,
  resultsSchema,
} from './results.ts'
import { sample, sampleAll, summarize } from './statistics.ts'
import { figuresTable } from './table.ts'
import { targetsOf } from './targets.ts'

const times = (ms: number, perSecond?: number) => ({
  ...{ count: 30, failed: 0, p50: ms, p95: 2 * ms, p99: 2 * ms, max: 3 * ms },
  ...(perSecond !== undefined && { perSecond }),
})
const beside = (what: string, ms: number, perSecond?: number) => ({
  baseline: { what, ...times(ms, perSecond) },
})
const figures: Figure[] = [
  { id: 'create.c1', what: 'create', unit: 'ms', ours: times(10, 90), ...beside('docker run -d', 200, 5) },
  {
    ...{ id: 'create.c10', what: 'create, 10 at once', unit: 'ms' },
    ...{ ours: times(90, 100), ...beside('docker run -d', 900, 11) },
  },
  {
    ...{ id: 'create.c100', what: 'create, 100 at once', unit: 'ms' },
    ...{ ours: times(800, 120), ...beside('docker run -d', 5000, 10) },
  },
  { id: 'create.warm', what: 'create, warm <&> "quoted"', unit: 'ms', ours: times(4) },
  { id: 'memory.each', what: 'memory of an idle sandbox', unit: 'KB', ours: measuredOnce(3000, 100) },
]
const results: Results = {
  ...{ at: '2026-01-01T00:00:00.000Z', version: '1.0.0', runtime: 'native', client: 'e2b 2', engine: '27.0' },
  machine: { cpu: 'A <fast> & small one', cpus: 2, memoryMb: 4096, kernel: '6.1', node: '22.0.0' },
  ...{ figures, notes: [] },
}

describe('statistics', () => {
  test('percentiles are values that were measured, by rank', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
    expect(summarize(hundred)).toEqual({ count: 100, p50: 50, p95: 95, p99: 99, max: 100 })
    expect(summarize([7])).toEqual({ count: 1, p50: 7, p95: 7, p99: 7, max: 7 })
    expect(summarize([]).p50).toBeNaN()
  })

  test('as many run at once as asked for, those that fail are counted, and runs before count for nothing', async () => {
    let running = 0
    let most = 0
    const indices: number[] = []
    const { durations, failures } = await sampleAll(
      async (index) => {
        indices.push(index)
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
        if (index === 3) throw new Error('no third')
      },
      { count: 10, parallel: 4, warmUp: 2 },
    )
    expect(most).toBe(4)
    expect(indices.toSorted((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(durations).toHaveLength(9)
    expect(failures).toEqual(['no third'])
    await expect(sample(() => Promise.reject(new Error('none')), { count: 2 })).rejects.toThrow(
      '2 of 2 failed: none',
    )
  })

  test('a signal ends it between two runs', async () => {
    const over = new AbortController()
    let runs = 0
    const task = async () => {
      if (++runs === 3) over.abort(new Error('enough'))
    }
    await expect(sampleAll(task, { count: 100, signal: over.signal })).rejects.toThrow('enough')
    expect(runs).toBe(3)
  })

  test('rates are of the time that each run took, and how many a second of all of them', () => {
    const sampled = { durations: [100, 200, 400], wallMs: 700, failures: [] }
    expect(measuredRates(sampled, 10)).toMatchObject({ count: 3, p50: 50, max: 25 })
    expect(measuredTimes({ ...sampled, wallMs: 1500 }, true)).toMatchObject({ p50: 200, perSecond: 2 })
  })
})

test('memory is what the kernel says', () => {
  const kb = {
    ...{ MemTotal: 1000, MemFree: 300, Buffers: 50, Cached: 200, Shmem: 20, Slab: 40, SReclaimable: 30 },
    ...{ KernelStack: 3, PageTables: 5, Percpu: 2, PageTablesExtra: 900 },
  }
  const text = Object.entries(kb).map(([name, value]) => `${`${name}:`.padEnd(16)}${value} kB\n`)
  expect(machineMemory(text.join(''))).toEqual({
    kernel: 50 * 1024,
    shared: 20 * 1024,
    machine: (1000 - 300 - 50 - 180) * 1024,
  })
  expect(shareOf('Rss:        900 kB\nPss:         120 kB\nPss_Dirty:   80 kB\n')).toBe(120 * 1024)
  expect(shareOf('')).toBe(0)
})

describe('what was found', () => {
  test('survives its JSON', () => {
    expect(resultsSchema.parse(JSON.parse(JSON.stringify(results)))).toEqual(results)
  })

  test('is shown with ratios, and what failed', () => {
    const lines = figuresTable([...figures, { ...figures[0]!, ours: { ...times(5), failed: 2 } }])
    expect(lines[2]).toContain('docker run -d: 200 ms')
    expect(lines[2]).toContain('0.05')
    expect(lines.at(-1)).toContain('2 FAILED')
    expect(new Set(lines.map((line) => line.length)).size).toBe(1)
  })

  test('meets targets or misses them, or says nothing of what was not measured', () => {
    const targets = new Map(targetsOf(figures).map((target) => [target.what, target]))
    expect(targets.get('cold create')).toMatchObject({ isMet: true, found: '0.050 ×; p99 0.050 ×' })
    expect(targets.get('warm create')).toMatchObject({ isMet: true, found: '4.0 ms; 0.020 ×' })
    expect(targets.get('100 creates at once')).toMatchObject({ isMet: true })
    expect(targets.get('memory of an idle sandbox')).toMatchObject({ isMet: false, found: '3000 KB' })
    expect(targets.get('fork of files')).toMatchObject({ isMet: false, found: null })
    const slower = figures.map((one) => (one.id === 'create.c100' ? { ...one, ours: times(800, 80) } : one))
    expect(targetsOf(slower).find(({ what }) => what === '100 creates at once')).toMatchObject({
      isMet: false,
    })
  })

  test('is compared with an earlier run, which may be of another machine', () => {
    const then: Results = {
      ...results,
      version: '0.9.0',
      machine: { ...results.machine, cpus: 8 },
      figures: [
        { ...figures[0]!, ours: { ...times(20, 45), p99: 160, failed: 2 } },
        { id: 'gone', what: 'what is no more', unit: 'ms', ours: times(1) },
      ],
    }
    const text = compareResults(then, results).join('\n')
    expect(text).toContain('version: 0.9.0, now 1.0.0')
    expect(text).toContain('processors: 8, now 2')
    const create = text.split('\n').find((line) => line.startsWith('| create '))
    expect(create?.split('|').map((cell) => cell.trim())).toEqual([
      ...['', 'create', '20.0 ms, p95 40.0, p99 160, 45.0/s, n=30, 2 FAILED'],
      ...['10.0 ms, p95 20.0, p99 20.0, 90.0/s, n=30', '0.50 ×, p99 0.13 ×, rate 2.00 ×', ''],
    ])
    expect(text).toContain('Only then: what is no more.')
    expect(compareResults(results, results).join('\n')).toContain('The same machine, versions and runtime.')
  })
})

describe('the chart', () => {
  test('is well-formed XML with everything in it, and text stays text', () => {
    const svg = chartOf(results, figures)
    expect(openElements(svg)).toEqual([])
    expect(svg).toContain('create, warm &lt;&amp;&gt;')
    expect(svg).toContain('A &lt;fast&gt; &amp; small one')
    expect(svg.match(/class="ours"/g)).toHaveLength(6)
    expect(svg).not.toMatch(/NaN|Infinity|undefined|<script|href/)
  })

  test('is one also of a run that measured nothing, or had nothing to compare with', () => {
    expect(openElements(chartOf(results, []))).toEqual([])
    const alone = chartOf({ ...results, engine: null }, [{ ...figures[0]!, baseline: undefined }])
    expect(alone).not.toContain('class="theirs"')
    const empty = { ...figures[0]!, ours: measuredTimes({ durations: [], wallMs: 1, failures: ['x'] }) }
    expect(chartOf(results, [empty])).not.toContain('NaN')
  })

  test('stays within its frame', () => {
    const long = { ...figures[0]!, ours: times(0.4), ...beside('docker run -d and docker exec', 123_456) }
    const svg = chartOf(results, [long])
    const width = Number(/viewBox="0 0 (\d+)/.exec(svg)![1])
    const ends = [...svg.matchAll(/<text class="value" x="([\d.]+)"[^>]*>([^<]*)/g)]
    expect(ends.length).toBeGreaterThan(0)
    for (const [, x, said] of ends) expect(Number(x) + said!.length * 5.5).toBeLessThan(width)
  })
})

/** Names of elements that aren't closed in order; what isn't an element, an end or text is one too. */
function openElements(svg: string): string[] {
  const open: string[] = []
  const rest = svg.replace(
    /<(\/?)([a-z]+)((?: [\w:-]+="[^"<]*")*)(\/?)>/g,
    (_all, end, name, _attributes, empty) => {
      if (end && open.pop() !== name) return `<wrong ${name}>`
      if (end) return ''
      if (!empty) open.push(name)
      return ''
    },
  )
  return [...open, ...(rest.match(/<|&(?!(?:amp|lt|gt);)/g) ?? [])]
}
