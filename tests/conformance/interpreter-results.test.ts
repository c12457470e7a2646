/** What the code interpreter's results are, by their values: formats, charts, data frames, images. */
import type { Sandbox } from '@e2b/code-interpreter'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { interpreterSdks } from '../support/interpreter-sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'

const timeout = 180_000

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(interpreterSdks)('@e2b/code-interpreter $version', { timeout }, ({ sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 600_000 })
  }, timeout)
  afterAll(() => sandbox.kill())

  test('results in every format', async () => {
    const { results } = await sandbox.runCode(`
from IPython.display import *
display(HTML("<b>h</b>"), Markdown("*m*"), Latex("$l$"), JSON({"j": [1]}), Javascript("js()"), SVG("<svg xmlns='http://www.w3.org/2000/svg'/>"))
display({"application/pdf": "cGRm", "application/x-own": "own", "text/plain": "p"}, raw=True)
class Own:
  def _repr_html_(self): return "<i>own</i>"
  def __repr__(self): return "Own()"
Own()`)
    expect(results.map((result) => result.formats())).toEqual(
      ['html', 'markdown', 'latex', 'json', 'javascript', 'svg', 'pdf', 'html'].map((format) => [format]),
    )
    const [html, markdown, latex, json, javascript, svg, pdf, own] = results
    expect(html?.html).toBe('<b>h</b>')
    expect(markdown?.markdown).toBe('*m*')
    expect(latex?.latex).toBe('$l$')
    expect(json?.json).toEqual({ j: [1] })
    expect(javascript?.javascript).toContain('js()')
    expect(svg?.svg).toContain('<svg')
    expect(pdf).toMatchObject({ pdf: 'cGRm', text: 'p', raw: { extra: { 'application/x-own': 'own' } } })
    expect(own).toMatchObject({ html: '<i>own</i>', text: 'Own()', isMainResult: true, extra: {} })
  })

  test('charts of every kind by their values', async () => {
    const { results } = await sandbox.runCode(`
import matplotlib.pyplot as plt
def shown(draw):
    draw(plt)
    plt.show()
shown(lambda p: p.plot([1, 2], [3, 4.5], label="l"))
shown(lambda p: p.scatter([1], [2], label="s"))
shown(lambda p: p.bar(["a", "b"], [1, 2]))
shown(lambda p: p.pie([1, 3], labels=["small", "large"]))
shown(lambda p: p.boxplot([[1, 2, 3, 4, 5, 30]], tick_labels=["x"], patch_artist=True))
figure, (left, right) = plt.subplots(1, 2)
left.plot([5], [6]); right.bar(["q"], [7])
plt.show()`)
    const charts = results.map(({ chart }) => chart as unknown as { type: string; elements: object[] })
    expect(charts.map(({ type, elements }) => [type, elements])).toEqual([
      [
        'line',
        [
          {
            label: 'l',
            points: [
              [1, 3],
              [2, 4.5],
            ],
          },
        ],
      ],
      ['scatter', [{ label: 's', points: [[1, 2]] }]],
      [
        'bar',
        [
          { label: 'a', group: 'Group 0', value: 1 },
          { label: 'b', group: 'Group 0', value: 2 },
        ],
      ],
      [
        'pie',
        [
          { label: 'small', angle: 90, radius: 1 },
          { label: 'large', angle: 270, radius: 1 },
        ],
      ],
      [
        'box_and_whisker',
        [
          {
            ...{ label: 'x', min: 1, first_quartile: 2.25, median: 3.5, third_quartile: 4.75 },
            ...{ max: 5, outliers: [30] },
          },
        ],
      ],
      [
        'superchart',
        [
          expect.objectContaining({
            type: 'line',
            elements: [expect.objectContaining({ points: [[5, 6]] })],
          }),
          expect.objectContaining({
            type: 'bar',
            elements: [{ label: 'q', group: 'Group 0', value: 7 }],
          }),
        ],
      ],
    ])
  })

  test('R: what it displays, and plots as PNG, SVG and PDF of their size', async () => {
    const displayed = await sandbox.runCode(
      `library(IRdisplay)
display_html("<b>h</b>"); display_markdown("*m*"); display_latex("$l$"); display_json('{"a": 1}'); display_javascript("js()")
c(a = 1.5)`,
      { language: 'r' },
    )
    expect(displayed.error).toBeUndefined()
    expect(displayed.results.slice(0, 5).map(({ raw }) => raw)).toMatchObject([
      { html: '<b>h</b>' },
      { markdown: '*m*' },
      { latex: '$l$' },
      { json: '{"a": 1}' },
      { javascript: 'js()' },
    ])
    expect(displayed.results.at(-1)).toMatchObject({ text: '  a \n1.5 ', html: '<strong>a:</strong> 1.5' })
    const plotted = await sandbox.runCode(
      `options(repr.plot.width = 4, repr.plot.height = 3, repr.plot.res = 100)
options(jupyter.plot_mimetypes = c("image/png", "image/svg+xml", "application/pdf"))
plot(1:3, main = "Of three")`,
      { language: 'r' },
    )
    const [{ png = '', svg = '', pdf = '' } = {}] = plotted.results
    const image = Buffer.from(png, 'base64')
    // Width and height stand in the first chunk.
    expect([image.readUInt32BE(16), image.readUInt32BE(20)]).toEqual([400, 300])
    expect(svg).toMatch(/<svg [^>]*width="288[^>]*height="216/)
    const document = Buffer.from(pdf, 'base64').toString('latin1')
    expect(document).toMatch(/^%PDF-[\s\S]*MediaBox \[ ?0 0 288 216 ?\][\s\S]*%%EOF\s*$/)
    await expect(
      sandbox.runCode('f <- function() stop("deep"); f()', { language: 'r' }),
    ).resolves.toMatchObject({
      error: { name: 'ERROR', value: expect.stringContaining('Error in f(): deep') },
    })
  })

  test('data frames as columns, lists and dictionaries as JSON, images as they are shown and saved', async () => {
    const { results } = await sandbox.runCode(`
import pandas as pd
display(pd.DataFrame({"a": [1, 2], "t": pd.to_datetime(["2024-01-02T00:00", "2024-01-03T04:05"]), "s": ["x", None], "f": [0.5, float("nan")]}))
display({"k": [1, None, True]})
from PIL import Image
image = Image.new("RGB", (3, 2), "red")
image.save("/tmp/red.png")
image.show()
image`)
    const [frame, json, ...images] = results
    expect(frame?.data).toEqual({
      a: [1, 2],
      t: ['2024-01-02T00:00:00', '2024-01-03T04:05:00'],
      s: ['x', null],
      f: [0.5, null],
    })
    expect(frame?.html).toContain('<table')
    expect(json?.json).toEqual({ k: [1, null, true] })
    expect(images).toHaveLength(3)
    for (const image of images)
      expect(
        Buffer.from(image.png ?? '', 'base64')
          .subarray(1, 4)
          .toString(),
      ).toBe('PNG')
  })

  test('what JSON has no number for is null, or nobody could read the answer', async () => {
    const { results } = await sandbox.runCode('[1, float("nan"), float("inf")]')
    expect(results[0]?.json).toEqual([1, null, null])
  })
})
