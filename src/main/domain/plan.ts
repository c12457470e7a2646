/** What `domain on` changes on this machine for the server that runs, found without changing anything. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../config.ts'
import { readServerInfo } from '../state-dir.ts'
import { type Change, prepare, readBytes } from './changes.ts'
import type { DomainRecord } from './record.ts'
import { planNames, type Responder } from './resolver.ts'
import { findTrustStore } from './trust-stores.ts'

export interface Plan {
  record: DomainRecord
  /** What a person should know */
  notes: string[]
  /** The server's responder, where it is asked about all names; null: it isn't */
  askedEverything: Responder | null
}

/** `recorded`: the changes that are this server's already. Errors: `ConfigError` where nothing can be done. */
export function makePlan(stateDir: string, recorded: DomainRecord | undefined): Plan {
  const info = readServerInfo(stateDir)
  if (info?.reach === undefined) {
    throw new ConfigError(
      `No server runs with ${stateDir}. Start it with --domain e2b.local --tls --dns 127.0.0.1:53, then run this again.`,
    )
  }
  const { domain: publicDomain, dns, authority } = info.reach
  if (publicDomain === null) {
    throw new ConfigError(
      'The server has no domain. Start it with --domain e2b.local --tls --dns 127.0.0.1:53, then run this again.',
    )
  }
  const domain = publicDomain.replace(/:\d+$/, '')
  const notes: string[] = []
  const changes: Change[] = []
  const record: DomainRecord = {
    ...{ domain, names: null, trust: null, state: 'writing' },
    ...{ changes: [], onCommands: [], offCommands: [] },
  }
  let askedEverything: Responder | null = null
  if (dns === null) notes.push(`The server answers no DNS (--dns): *.${domain} must be in your own.`)
  else {
    const { names, change, commands, notes: more, isAskedEverything } = planNames(domain, dns)
    notes.push(...more)
    if (change !== null) {
      changes.push(change)
      record.names = names
      record.onCommands.push(...commands)
      record.offCommands.push(...commands)
      if (isAskedEverything) askedEverything = dns
    }
  }
  const store = authority === null ? undefined : findTrustStore()
  if (authority === null)
    notes.push('Its certificate is not from an authority of its own: trust is left as it is.')
  else if (store === undefined) {
    notes.push(
      `This machine keeps what it trusts in a way that is not known here: give programs ${authority.file}.`,
    )
  } else {
    const path = join(store.folder, `e2b-server-${domain}.${store.extension}`)
    const text = readFileSync(authority.file, 'latin1')
    const now = readBytes(path)
    // Certificates have no marks, so one that isn't known is somebody else's.
    const isKnown = now === null || (recorded?.changes.some((change) => change.path === path) ?? false)
    if (isKnown) {
      changes.push({ path, text, from: authority.file })
      record.trust = path
      record.onCommands.push(store.add)
      record.offCommands.push(store.remove)
    } else if (now === text) notes.push(`${path} is there already, and stays when this is taken back.`)
    else throw new ConfigError(`${path} is there, and not from this server: remove it, then run this again.`)
  }
  const before = (change: Change) => recorded?.changes.find(({ path }) => path === change.path)
  return {
    record: { ...record, changes: changes.map((change) => prepare(change, before(change))) },
    notes,
    askedEverything,
  }
}
