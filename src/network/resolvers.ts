/** The name servers that a container engine on this machine asks for its containers, in their network. */
import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'

/** The second has the true ones where the first names a stub on loopback. */
const resolverFiles = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']
const daemonFile = '/etc/docker/daemon.json'

/** IPv4, without those on loopback: these the engine asks from this machine itself. Never throws. */
export async function hostResolvers(): Promise<string[]> {
  const [daemon, ...files] = await Promise.all([daemonFile, ...resolverFiles].map(textOf))
  const named = [...files.flatMap(nameServersOf), ...engineServersOf(daemon ?? '')]
  return [...new Set(named)].filter((address) => isIPv4(address) && !address.startsWith('127.')).sort()
}

/** The addresses in the format of resolv.conf. */
export function nameServersOf(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, address = '']) => address)
}

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
