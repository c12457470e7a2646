/** Rows of the table: what was measured, ours, the baseline. */
import { summarize } from '../src/bench/statistics.ts'

/** `what` names both: `<ours> | <baseline>`. */
export type Report = (what: string, ours: string, baseline: string) => void

export const megabyte = 1024 * 1024

export function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}

/** Durations in milliseconds. */
export function spread(durations: number[]): string {
  const { count, p50, p95, p99 } = summarize(durations)
  return `p50 ${ms(p50)}  p95 ${ms(p95)}  p99 ${ms(p99)}  (n=${count})`
}

/** What moving that many megabytes takes, by the median. */
export function rate(durations: number[], megabytes: number): string {
  return `${(megabytes / (summarize(durations).p50 / 1000)).toFixed(0)} MB/s  (n=${durations.length})`
}

/** A report that prints each row at once, and all of them as a table at the end. */
export function createReport(): { report: Report; printTable(): void } {
  const rows: [string, string, string][] = []
  return {
    report(what, ours, baseline) {
      rows.push([what, ours, baseline])
      console.log(`${what}\n    e2b-server: ${ours}\n    baseline:   ${baseline}`)
    },
    printTable() {
      console.log('\n| measured | e2b-server | baseline |\n|---|---|---|')
      for (const [what, ours, baseline] of rows) {
        const [subject, against] = what.split(' | ')
        console.log(`| ${subject} | ${ours} | ${against}: ${baseline} |`)
      }
    },
  }
}
