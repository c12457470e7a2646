/** Results as a picture: an SVG without scripts, fonts or anything else from elsewhere, legible in light and dark. */
import type { Environment, Figure } from './results.ts'
import { environmentLine, shortNumber } from './table.ts'

interface Row {
  label: string
  ours: number | undefined
  theirs: number | undefined
  /** What the other bar is */
  than: string
}

interface Panel {
  title: string
  unit: string
  rows: Row[]
}

const width = 880
const labelWidth = 250
const valueWidth = 210
const barHeight = 9
const rowHeight = 30
const barsWidth = width - labelWidth - valueWidth - 40

/** What takes time, by the ids of its figures */
const timesOf = [
  ...['create.warm', 'create.c1', 'first-command.warm', 'first-command.c1', 'kill.c1'],
  ...['pause.memory', 'resume.memory', 'pause.files', 'resume.files', 'snapshot', 'fork', 'create.snapshot'],
  ...['command.c1', 'file-write.c1', 'file-read.c1'],
]
/** What there is of in a second, by the beginnings of their ids and in words */
const ratesOf = { create: 'create', kill: 'kill', command: "commands.run('true')" }
/** Where a figure has no baseline of its own, what it stands beside */
const stands: Record<string, string> = {
  'create.warm': 'create.c1',
  'first-command.warm': 'first-command.c1',
}

/** The picture of a run. */
export function chartOf(environment: Environment, figures: readonly Figure[]): string {
  const panels = [timesPanel(figures), ratesPanel(figures)].filter(({ rows }) => rows.length > 0)
  let y = 96
  const body: string[] = []
  for (const panel of panels) {
    body.push(...drawPanel(panel, y))
    y += 44 + panel.rows.length * rowHeight + 20
  }
  const height = y + 10
  const isBeside = environment.engine !== null
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="e2b-server beside Docker: medians">`,
    `<style>${style}</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    text(20, 30, 'e2b-server', 'head'),
    ...legend(isBeside),
    ...wrapped(environmentLine(environment), 140).map((line, i) => text(20, 50 + i * 14, line, 'small')),
    ...body,
    '</svg>',
    '',
  ].join('\n')
}

function timesPanel(figures: readonly Figure[]): Panel {
  const byId = new Map(figures.map((figure) => [figure.id, figure]))
  const rows = timesOf.flatMap((id) => {
    const figure = byId.get(id)
    const beside = figure?.baseline ?? byId.get(stands[id] ?? '')?.baseline
    if (figure === undefined) return []
    return [{ label: figure.what, ours: figure.ours.p50, theirs: beside?.p50, than: beside?.what ?? '' }]
  })
  return { title: 'One at a time: median in ms, logarithmic; less is better', unit: 'ms', rows }
}

function ratesPanel(figures: readonly Figure[]): Panel {
  const rows = Object.entries(ratesOf).flatMap(([beginning, words]) =>
    figures.flatMap(({ id, ours, baseline }) => {
      const parallel = new RegExp(`^${beginning}\\.c(\\d+)$`).exec(id)?.[1]
      if (parallel === undefined) return []
      const label = `${words}, ${parallel} at once`
      return [{ label, ours: ours.perSecond, theirs: baseline?.perSecond, than: baseline?.what ?? '' }]
    }),
  )
  return { title: 'How many in a second, logarithmic; more is better', unit: '/s', rows }
}

function drawPanel({ title, unit, rows }: Panel, top: number): string[] {
  const values = rows.flatMap(({ ours, theirs }) => [ours, theirs]).filter(isDrawn)
  const low = 10 ** Math.floor(Math.log10(Math.min(...values, 1)))
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values, 10)))
  const x = (value: number) => (Math.log10(value / low) / Math.log10(high / low)) * barsWidth
  const bottom = top + 24 + rows.length * rowHeight
  const lines: string[] = [text(20, top, title, 'title')]
  for (let mark = low; mark <= high; mark *= 10) {
    const at = labelWidth + x(mark)
    lines.push(`<line class="grid" x1="${n(at)}" x2="${n(at)}" y1="${top + 14}" y2="${bottom}"/>`)
    lines.push(text(at, bottom + 12, shortNumber(mark).replace('.0', ''), 'small mid'))
  }
  for (const [index, row] of rows.entries()) {
    const y = top + 24 + index * rowHeight
    lines.push(text(labelWidth - 8, y + 13, row.label, 'label'))
    for (const [kind, value, offset] of [
      ['ours', row.ours, 0],
      ['theirs', row.theirs, barHeight + 2],
    ] as const) {
      if (!isDrawn(value)) continue
      const length = Math.max(1, x(value))
      lines.push(
        `<rect class="${kind}" x="${labelWidth}" y="${y + offset}" width="${n(length)}" height="${barHeight}" rx="1.5"/>`,
      )
      const said = kind === 'ours' ? '' : `  ${row.than}`
      lines.push(
        text(labelWidth + length + 6, y + offset + 8, `${shortNumber(value)} ${unit}${said}`, 'value'),
      )
    }
  }
  return lines
}

function legend(isBeside: boolean): string[] {
  const box = (x: number, kind: string) =>
    `<rect class="${kind}" x="${x}" y="20" width="14" height="10" rx="2"/>`
  const own = [box(160, 'ours'), text(180, 29, 'e2b-server', 'small')]
  return isBeside ? [...own, box(270, 'theirs'), text(290, 29, 'Docker', 'small')] : own
}

function isDrawn(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value) && value > 0
}

function text(x: number, y: number, content: string, kind: string): string {
  return `<text class="${kind}" x="${n(x)}" y="${n(y)}">${escapeText(content)}</text>`
}

function escapeText(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

function n(value: number): string {
  return Number(value.toFixed(1)).toString()
}

/** Lines of at most that many characters, broken at spaces. */
function wrapped(content: string, length: number): string[] {
  const lines = ['']
  for (const word of content.split(' ')) {
    const last = lines.at(-1)!
    if (last.length + word.length < length) lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

const style = `
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.head { font-size: 20px; font-weight: 600; } .title { font-size: 13px; font-weight: 600; }
.small { font-size: 10.5px; fill: #59636e; } .value { font-size: 10px; } .label { text-anchor: end; } .mid { text-anchor: middle; }
.ground { fill: #ffffff; } .grid { stroke: #d1d9e0; stroke-width: 1; } .ours { fill: #1f6feb; } .theirs { fill: #a3aab3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9198a1; } .ground { fill: #0d1117; } .grid { stroke: #30363d; }
  .ours { fill: #58a6ff; } .theirs { fill: #6e7681; }
}
`.trim()
