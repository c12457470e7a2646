/** One run's results beside an earlier one's. */
import type { Environment, Measured, Results } from './results.ts'
import { table, values } from './table.ts'

/** Lines: what differs in how they were measured, then each figure that both have. */
export function compareResults(before: Results, now: Results): string[] {
  const different = differences(before, now)
  const earlier = new Map(before.figures.map((figure) => [figure.id, figure]))
  const rows = now.figures.flatMap(({ id, what, unit, ours }) => {
    const other = earlier.get(id)
    if (other === undefined || other.unit !== unit) return []
    return [[what, values(other.ours, unit), values(ours, unit), ratios(other.ours, ours)]]
  })
  const missing = before.figures.filter(({ id }) => !now.figures.some((figure) => figure.id === id))
  return [
    `Beside the run of ${before.at}:`,
    ...(different.length === 0
      ? ['The same machine, versions and runtime.']
      : different.map((line) => `- ${line}`)),
    '',
    ...table(['measured', 'then', 'now', 'now / then'], rows),
    ...(missing.length === 0 ? [] : ['', `Only then: ${missing.map(({ what }) => what).join('; ')}.`]),
  ]
}

/** What may be the reason of other figures than the server, in words. */
function differences(before: Environment, now: Environment): string[] {
  const pairs: [string, unknown, unknown][] = [
    ['version', before.version, now.version],
    ['runtime', before.runtime, now.runtime],
    ['client', before.client, now.client],
    ['engine', before.engine ?? 'none', now.engine ?? 'none'],
    ['processor', before.machine.cpu, now.machine.cpu],
    ['processors', before.machine.cpus, now.machine.cpus],
    ['memory in MiB', before.machine.memoryMb, now.machine.memoryMb],
    ['kernel', before.machine.kernel, now.machine.kernel],
    ['Node.js', before.machine.node, now.machine.node],
  ]
  return pairs
    .filter(([, then, here]) => then !== here)
    .map(([name, then, here]) => `${name}: ${then}, now ${here}`)
}

/** Of medians, and of what else both have. */
function ratios(then: Measured, now: Measured): string {
  const parts = [ratio(then.p50, now.p50)]
  if (then.p99 !== undefined && now.p99 !== undefined) parts.push(`p99 ${ratio(then.p99, now.p99)}`)
  if (then.perSecond !== undefined && now.perSecond !== undefined)
    parts.push(`rate ${ratio(then.perSecond, now.perSecond)}`)
  return parts.join(', ')
}

function ratio(then: number, now: number): string {
  const value = now / then
  return Number.isFinite(value) ? `${value.toFixed(2)} ×` : '–'
}
