/** The name servers of this machine that sandboxes can ask from their network, or an engine for its containers. */
import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { asidePrefix } from '../lib/resolv-conf.ts'

/** The second has the true ones where the first names a stub on loopback. */
const resolverFiles = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']
const daemonFile = '/etc/docker/daemon.json'
const nameServer = new RegExp(`^(?:${asidePrefix('\\S+')})?\\s*nameserver\\s+(\\S+)`, 'gm')

/** IPv4, without those on loopback: these an engine asks from this machine itself. Never throws. */
export async function hostResolvers(): Promise<string[]> {
  return (await allResolvers()).filter((address) => isIPv4(address) && !isLoopback(address))
}

/** Whether this machine has name servers, and sandboxes that ask by themselves reach none. Never throws. */
export async function areAllOnLoopback(): Promise<boolean> {
  const all = await allResolvers()
  return all.length > 0 && all.every(isLoopback)
}

/** Without double ones. */
async function allResolvers(): Promise<string[]> {
  const [daemon, ...files] = await Promise.all([daemonFile, ...resolverFiles].map(textOf))
  return [...new Set([...files.flatMap(nameServersOf), ...engineServersOf(daemon ?? '')])].sort()
}

/** The addresses in the format of resolv.conf, those too that a server of ours has taken the place of. */
export function nameServersOf(text: string): string[] {
  return [...text.matchAll(nameServer)].map(([, address = '']) => address)
}

const isLoopback = (address: string) => address.startsWith('127.') || address === '::1'

/** The addresses that an engine was configured with; none where its file can't be read. */
export function engineServersOf(text: string): string[] {
  try {
    const { dns } = JSON.parse(text) as { dns?: unknown }
    return Array.isArray(dns) ? dns.map(String) : []
  } catch {
    return []
  }
}

function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '')
}
