/** Who resolves names for this machine's programs, and how that one is told to ask the server about its domain. */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { asidePrefix } from '../../lib/resolv-conf.ts'
import { ConfigError } from '../config.ts'
import { type Change, markedLines, readBytes, withoutOurs } from './changes.ts'

export interface NamesPlan {
  /** In words: by what names are found */
  names: string
  change: Change | null
  commands: string[][]
  /** What a person should know */
  notes: string[]
  /** Whether everything else is asked of the server's responder, too */
  isAskedEverything: boolean
}

export interface Responder {
  address: string
  port: number
}

/**
 * What makes names of the domain resolve by the responder. `root`: where the machine's files are. Errors: `ConfigError`
 * where that can't be.
 */
export function planNames(domain: string, responder: Responder, root = '/'): NamesPlan {
  const file = '/etc/resolv.conf'
  const real = realPathOf(join(root, file)) ?? join(root, file)
  const aside = { begin: 'nameserver', prefix: asidePrefix(domain) }
  const text = withoutOurs(readBytes(real) ?? '', { text: markedLines(domain, []), aside })
  const nameservers = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, address]) => address!)
  const processes = runningPrograms(root)
  if (isResolvedInUse({ real, nameservers, processes, root })) return planResolved(domain, responder)
  const dnsmasq = /^127\.|^::1$/.test(nameservers[0] ?? '') ? dnsmasqFolder(processes) : undefined
  if (dnsmasq !== undefined)
    return planDnsmasq(domain, responder, dnsmasq, existsSync(join(root, '/run/systemd/system')))
  return planResolvConf(domain, responder, { real, text, nameservers, aside })
}

function planResolved(domain: string, { address, port }: Responder): NamesPlan {
  const at = port === 53 ? address : isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
  const lines = ['[Resolve]', `DNS=${at}`, `Domains=~${domain}`]
  return {
    names: `systemd-resolved asks ${address} port ${port}`,
    change: {
      path: `/etc/systemd/resolved.conf.d/e2b-server-${domain}.conf`,
      text: markedLines(domain, lines),
    },
    commands: [['systemctl', 'restart', 'systemd-resolved']],
    notes: [],
    isAskedEverything: false,
  }
}

function planDnsmasq(
  domain: string,
  { address, port }: Responder,
  folder: string,
  hasSystemd: boolean,
): NamesPlan {
  // The second line: answers that are loopback addresses may pass.
  const lines = [`server=/${domain}/${address}#${port}`, `rebind-domain-ok=/${domain}/`]
  const restart = hasSystemd ? ['systemctl', 'restart', 'dnsmasq'] : ['service', 'dnsmasq', 'restart']
  return {
    names: `dnsmasq asks ${address} port ${port}`,
    change: { path: join(folder, `e2b-server-${domain}.conf`), text: markedLines(domain, lines) },
    commands: [folder.includes('NetworkManager') ? ['nmcli', 'general', 'reload', 'dns-full'] : restart],
    notes: [],
    isAskedEverything: false,
  }
}

function planResolvConf(
  domain: string,
  { address, port }: Responder,
  {
    real,
    text,
    nameservers,
    aside,
  }: { real: string; text: string; nameservers: string[]; aside: NonNullable<Change['aside']> },
): NamesPlan {
  const plan: NamesPlan = {
    names: `nameserver ${address} in /etc/resolv.conf`,
    // Alone: some programs ask all at once and believe who says first that there is no such name.
    change: { path: '/etc/resolv.conf', text: markedLines(domain, [`nameserver ${address}`]), aside },
    commands: [],
    notes: [
      'All names are asked of the server now, which asks the name servers that were there. Its start and its stop turn this on and off; if it is killed, this machine finds no names until its next start or "domain off".',
    ],
    isAskedEverything: true,
  }
  if (port !== 53) {
    throw new ConfigError(
      `/etc/resolv.conf can't name a port, and the server answers DNS on port ${port}: start it with --dns ${isIPv6(address) ? `[${address}]` : address}:53.`,
    )
  }
  if (nameservers.length === 1 && nameservers[0] === address) {
    return { ...plan, change: null, notes: ['/etc/resolv.conf names the server already, and nobody else.'] }
  }
  const owner = ownerOf(real, text)
  if (owner !== undefined) {
    plan.notes.push(
      `/etc/resolv.conf is ${owner.how}: ${owner.who} writes it anew, at the latest when this machine starts, and the server's line is gone. "domain status" and "doctor" say so; "domain on" puts it back.`,
    )
  }
  return plan
}

/** Who else writes resolv.conf, by where it leads and what it says. */
function ownerOf(real: string, text: string): { who: string; how: string } | undefined {
  const folders: [RegExp, string][] = [
    [/\/NetworkManager\//, 'NetworkManager'],
    [/\/resolvconf\//, 'resolvconf'],
    [/\/connman\//, 'connman'],
    [/\/wsl\//, 'WSL'],
    [/\/systemd\/resolve\//, 'systemd-resolved'],
  ]
  const byFolder = folders.find(([pattern]) => pattern.test(real))?.[1]
  if (byFolder !== undefined) return { who: byFolder, how: `a link to ${real}` }
  if (!real.endsWith('/etc/resolv.conf'))
    return { who: 'another program, perhaps,', how: `a link to ${real}` }
  const generator = /generated (?:automatically )?by ([\w.-]*\w)/i.exec(text)?.[1]
  return generator === undefined ? undefined : { who: generator, how: `made by ${generator}` }
}

function isResolvedInUse({
  real,
  nameservers,
  processes,
  root,
}: {
  real: string
  nameservers: string[]
  processes: RunningProgram[]
  root: string
}): boolean {
  // Names of processes have 15 characters at most.
  if (!processes.some(({ name }) => name === 'systemd-resolve')) return false
  const hosts = /^hosts:.*$/m.exec(readBytes(join(root, '/etc/nsswitch.conf')) ?? '')?.[0] ?? ''
  const isStub = nameservers.some((address) => /^127\.0\.0\.5[34]$/.test(address))
  return isStub || /\bresolve\b/.test(hosts) || real.includes('/systemd/resolve/')
}

/** The folder that a dnsmasq of this machine reads its settings from; undefined: there is none, or it reads none. */
function dnsmasqFolder(processes: RunningProgram[]): string | undefined {
  for (const { name, args } of processes) {
    if (name !== 'dnsmasq') continue
    const next = args[args.indexOf('-7') + 1]
    const given = args.find((arg) => arg.startsWith('--conf-dir='))?.slice('--conf-dir='.length)
    const folder = (given ?? (args.includes('-7') ? next : undefined))?.split(',')[0]
    if (folder !== undefined) return folder
  }
  return undefined
}

interface RunningProgram {
  name: string
  args: string[]
}

function runningPrograms(root: string): RunningProgram[] {
  const proc = join(root, 'proc')
  const pids = existsSync(proc) ? readdirSync(proc).filter((name) => /^\d+$/.test(name)) : []
  return pids.flatMap((pid) => {
    try {
      const read = (file: string) => readFileSync(join(proc, pid, file), 'utf8')
      return [{ name: read('comm').trim(), args: read('cmdline').split('\0') }]
    } catch {
      // It has ended.
      return []
    }
  })
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
