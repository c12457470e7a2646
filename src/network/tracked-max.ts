import { readFile } from 'node:fs/promises'

const trackedMaxFile = '/proc/sys/net/netfilter/nf_conntrack_max'
/** What kernels choose at the least, for one that doesn't say */
const trackedMaxLeast = 65_536

/** How many connections the kernel tracks for the whole machine. Never throws. */
export async function trackedMax(): Promise<number> {
  return Number(await readFile(trackedMaxFile, 'utf8').catch(() => '')) || trackedMaxLeast
}
