/** Results as text: Markdown's tables, which read well on a terminal too. */
import type { Environment, Figure, Measured, Results } from './results.ts'
import type { Target } from './targets.ts'

export function environmentLine({ at, version, machine, runtime, client, engine }: Environment): string {
  const { cpu, cpus, memoryMb, kernel, node } = machine
  return [
    `e2b-server ${version}, runtime ${runtime}, through ${client}`,
    engine === null ? 'no engine to compare with' : `beside Docker ${engine}`,
    `${cpus} × ${cpu}, ${Math.round(memoryMb / 1024)} GiB, Linux ${kernel}, Node.js ${node}`,
    at,
  ].join('; ')
}

export function figuresTable(figures: readonly Figure[]): string[] {
  const rows = figures.map((figure) => {
    const { what, unit, ours, baseline } = figure
    const beside = baseline === undefined ? '' : `${baseline.what}: ${values(baseline, unit)}`
    return [what, values(ours, unit), beside, ratioText(figure)]
  })
  return table(['measured', 'e2b-server', 'beside', 'ratio'], rows)
}

export function targetsTable(targets: readonly Target[]): string[] {
  const rows = targets.map(({ what, wanted, found, isMet }) => [
    ...[what, wanted, found ?? '–', found === null ? 'not measured' : isMet ? 'met' : 'MISSED'],
  ])
  return table(['target', 'wanted', 'found', ''], rows)
}

export function notesLines({ notes }: Pick<Results, 'notes'>): string[] {
  return notes.length === 0 ? [] : ['', ...notes.map((note) => `- ${note}`)]
}

/** Ours by theirs, of medians; null without a baseline. */
function ratioOf({ ours, baseline }: Figure): number | null {
  return baseline === undefined ? null : ours.p50 / baseline.p50
}

export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '–'
  return value >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(value >= 100 ? 0 : 1)
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const width = (column: number) => Math.max(...[head, ...rows].map((row) => row[column]!.length))
  const widths = head.map((_, column) => width(column))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  return [line(head), `|${widths.map((w) => '-'.repeat(w + 2)).join('|')}|`, ...rows.map(line)]
}

function ratioText(figure: Figure): string {
  const ratio = ratioOf(figure)
  return ratio === null || !Number.isFinite(ratio) ? '' : `${ratio.toFixed(ratio < 0.1 ? 3 : 2)} ×`
}

/** All that is known of one figure. */
export function values({ count, failed, p50, p95, p99, perSecond }: Measured, unit: Figure['unit']): string {
  const parts = [`${shortNumber(p50)} ${unit}`]
  if (p95 !== undefined) parts.push(`p95 ${shortNumber(p95)}`)
  if (p99 !== undefined) parts.push(`p99 ${shortNumber(p99)}`)
  if (perSecond !== undefined) parts.push(`${shortNumber(perSecond)}/s`)
  if (p95 !== undefined) parts.push(`n=${count}`)
  if (failed > 0) parts.push(`${failed} FAILED`)
  return parts.join(', ')
}
