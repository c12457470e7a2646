import { readFileSync } from 'node:fs'

/** Private memory of a process in bytes. */
export function privateBytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const pages = [...rollup.matchAll(/^Private_\w+:\s+(\d+) kB/gm)]
  return pages.reduce((sum, match) => sum + Number(match[1]) * 1024, 0)
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  return statusField(pid, 'VmRSS') * 1024
}

export function parentOf(pid: number): number {
  return statusField(pid, 'PPid')
}

function statusField(pid: number, name: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
}
