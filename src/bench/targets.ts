/** What the project wants of itself, each by figures of one run. */
import type { Figure, Measured } from './results.ts'

export interface Target {
  what: string
  /** What was found and what is wanted, in words; null: not all of it was measured */
  found: string | null
  wanted: string
  isMet: boolean
}

/** A number that is in words, and its bound. */
interface Check {
  value: number | undefined
  text: (value: number) => string
  /** At most, or for `atLeast` at least */
  bound: number
  atLeast?: boolean
}

export function targetsOf(figures: readonly Figure[]): Target[] {
  const byId = new Map(figures.map((figure) => [figure.id, figure]))
  const ours = (id: string, part: keyof Measured = 'p50') => byId.get(id)?.ours[part]
  /** Ours by theirs, `other` being the figure whose baseline it is compared with. */
  const ratio = (id: string, part: keyof Measured = 'p50', other = id) => {
    const [own, their] = [ours(id, part), byId.get(other)?.baseline?.[part]]
    return own === undefined || their === undefined ? undefined : own / their
  }
  const bestEngine = bestRate(figures)
  const rate = ours('create.c100', 'perSecond')
  const steadiness = quotient(rate, ours('create.c10', 'perSecond'))
  const failed = (id: string): Check => ({
    value: ours(id, 'failed'),
    text: (n) => `${n} failed`,
    bound: 0,
  })
  return [
    target('cold create', '≤ 0.08 ×; p99 ≤ 0.15 ×', [
      times(ratio('create.c1'), 0.08),
      times(ratio('create.c1', 'p99'), 0.15, 'p99 '),
    ]),
    target('warm create', 'p50 ≤ 5 ms and ≤ 0.02 ×', [
      ms(ours('create.warm'), 5),
      times(ratio('create.warm', 'p50', 'create.c1'), 0.02),
    ]),
    target('create to first command, cold', '≤ 0.12 ×', [times(ratio('first-command.c1'), 0.12)]),
    target('create to first command, warm', '≤ 0.04 ×', [
      times(ratio('first-command.warm', 'p50', 'first-command.c1'), 0.04),
    ]),
    target('100 creates at once', 'none fails; ≥ 8 × the engine at its best; c=100 ≥ c=10', [
      failed('create.c100'),
      { ...times(quotient(rate, bestEngine), 8), atLeast: true },
      { value: steadiness, text: (x) => `c=100 is ${x.toFixed(2)} × c=10`, bound: 1, atLeast: true },
    ]),
    target('kill', 'p50 ≤ 3 ms; 100 at once ≤ 0.1 ×', [
      ms(ours('kill.c1'), 3),
      times(ratio('kill.c100'), 0.1, '100 at once '),
    ]),
    ...(['pause', 'resume'] as const).map((verb) =>
      target(`${verb} with memory`, '≤ 0.3 ×, p50 ≤ 10 ms', [
        times(ratio(`${verb}.memory`), 0.3),
        ms(ours(`${verb}.memory`), 10),
      ]),
    ),
    target('snapshot of 10 MB of changes', '≤ 0.2 ×', [times(ratio('snapshot'), 0.2)]),
    target('fork of files', '≤ 0.2 × docker commit', [times(ratio('fork'), 0.2)]),
    target('create from a snapshot', 'as fast as any: ≤ 1.2 × a create', [
      times(quotient(ours('create.snapshot'), ours('create.c1')), 1.2),
    ]),
    target('memory of an idle sandbox', '≤ 2 MB', [kb(ours('memory.each'), 2048)]),
    target('server and helper', '≤ 160 MB idle, < 50 KB a sandbox', [
      { value: ours('memory.server'), text: (x) => `${x.toFixed(0)} MB`, bound: 160 },
      kb(ours('memory.each.server'), 50),
    ]),
    target('idle sandboxes start, answer and go', 'none fails', [
      { ...failed('idle.start'), text: (n) => `${ours('idle.start', 'count')} started, ${n} failed` },
      failed('idle.first-command'),
      failed('idle.kill'),
    ]),
  ]
}

function target(what: string, wanted: string, checks: Check[]): Target {
  const found = checks.map(({ value, text }) => (value === undefined ? null : text(value)))
  const isMet = checks.every(
    ({ value, bound, atLeast }) =>
      value !== undefined && (atLeast === true ? value >= bound : value <= bound),
  )
  return { what, wanted, found: found.includes(null) ? null : found.join('; '), isMet }
}

function times(value: number | undefined, bound: number, before = ''): Check {
  return { value, bound, text: (x) => `${before}${x.toFixed(x < 1 ? 3 : 2)} ×` }
}

function ms(value: number | undefined, bound: number): Check {
  return { value, bound, text: (x) => `${x.toFixed(1)} ms` }
}

function kb(value: number | undefined, bound: number): Check {
  return { value, bound, text: (x) => `${x.toFixed(0)} KB` }
}

function quotient(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one / other
}

/** Of the engine's creates, at whichever concurrency it makes most of. */
function bestRate(figures: readonly Figure[]): number | undefined {
  const rates = figures
    .filter(({ id }) => id.startsWith('create.c'))
    .flatMap(({ baseline }) => baseline?.perSecond ?? [])
  return rates.length === 0 ? undefined : Math.max(...rates)
}
