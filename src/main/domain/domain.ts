/**
 * `domain on`, `off` and `status`: this machine's names and trust for the server of a state directory. The record is
 * written first, then files, then what makes them count is run; `off` goes by the record alone.
 */
import { execFile } from 'node:child_process'
import { promises as dns } from 'node:dns'
import { promisify } from 'node:util'
import type { DomainStatus } from '../../cli/actions.ts'
import { sleep } from '../../lib/deadline.ts'
import { ConfigError } from '../config.ts'
import { readServerInfo, tryLock } from '../state-dir.ts'
import { lookAt, make, prepare, takeBack } from './changes.ts'
import { requireForwarding } from './forwarding.ts'
import { makePlan } from './plan.ts'
import { type DomainRecord, readRecord, removeRecord, writeRecord } from './record.ts'
import { offScript, onScript } from './script.ts'

/** How long one of the machine's own commands may take, and how long names may take to be found, in milliseconds. */
const commandTimeoutMs = 120_000
const foundMs = { limit: 5000, look: 250 }

/** What was done or, with `isDry`, would be, in lines. Errors: `ConfigError` with what to do. */
export async function turnOn(stateDir: string, { isDry }: { isDry: boolean }): Promise<string[]> {
  const { record: planned, notes, askedEverything } = makePlan(stateDir, readRecord(stateDir))
  if (askedEverything !== null) await requireForwarding(planned.domain, askedEverything)
  if (planned.changes.length === 0) return ['Nothing to do on this machine.', ...notes]
  if (isDry) return ['It would do what these commands do:', ...onScript(planned), ...notes]
  requireRoot('on', stateDir, onScript(planned))
  return withLock(stateDir, async () => {
    const recorded = readRecord(stateDir)
    const isOther = recorded !== undefined && (recorded.state === 'writing' || !isSame(recorded, planned))
    if (isOther) await undo(stateDir, recorded)
    const { record } = makePlan(stateDir, readRecord(stateDir))
    writeRecord(stateDir, record)
    for (const change of record.changes) make(change)
    writeRecord(stateDir, { ...record, state: 'written' })
    for (const command of record.onCommands) await run(command)
    writeRecord(stateDir, { ...record, state: 'done' })
    return [...(await whatIsOn(record)), ...notes]
  })
}

/** Takes back what the record has. */
export async function turnOff(stateDir: string, { isDry }: { isDry: boolean }): Promise<string[]> {
  const record = readRecord(stateDir)
  if (record === undefined) return [`Nothing of this machine was changed for ${stateDir}.`]
  if (isDry) return ['It would do what these commands do:', ...offScript(record)]
  requireRoot('off', stateDir, offScript(record))
  return withLock(stateDir, async () => {
    await undo(stateDir, record)
    return [`${record.domain} is off: this machine is as it was before "domain on".`]
  })
}

/**
 * After a server has begun to answer DNS, and before it ends (null): where all names are asked of it, its line comes into
 * resolv.conf, or out of it. While another command is at work there, that one has its way. Errors: those of writing.
 */
export function followResponder(
  stateDir: string,
  responder: { domain: string; address: string } | null,
): void {
  const record = readRecord(stateDir)
  const isConcerned = record?.changes.some(({ aside }) => aside !== undefined) && record.state !== 'writing'
  const lock = isConcerned ? tryLock(stateDir, 'domain.lock') : undefined
  if (record === undefined || lock === undefined) return
  try {
    const changes = record.changes.map((change) =>
      change.aside === undefined ? change : prepare(change, change),
    )
    writeRecord(stateDir, { ...record, changes, state: 'writing' })
    for (const change of changes) {
      if (change.aside === undefined) continue
      const isOwn =
        responder?.domain === record.domain && change.text.includes(`\nnameserver ${responder.address}\n`)
      if (!isOwn) takeBack({ ...change, folders: [] }, { isSettled: true })
      else if (lookAt(change) !== 'there') make(change)
    }
    writeRecord(stateDir, { ...record, changes })
  } finally {
    lock.release()
  }
}

export function domainStatus(stateDir: string): DomainStatus | null {
  const record = readRecord(stateDir)
  if (record === undefined) return null
  const { domain, names, trust, state, changes } = record
  const isRunning = readServerInfo(stateDir) !== undefined
  const parts = changes.map((change) => {
    const state = lookAt(change)
    const isWaiting = state === 'missing' && change.aside !== undefined && !isRunning
    return { path: change.path, state: isWaiting ? ('waiting' as const) : state }
  })
  return { domain, names, trust, isWhole: state === 'done', parts }
}

async function undo(stateDir: string, record: DomainRecord): Promise<void> {
  const isSettled = record.state !== 'writing'
  writeRecord(stateDir, { ...record, state: 'writing' })
  for (const change of record.changes) takeBack(change, { isSettled })
  writeRecord(stateDir, { ...record, state: 'written' })
  for (const command of record.offCommands) await run(command)
  removeRecord(stateDir)
}

/** Whether two records are about the same changes, whatever the files hold besides. */
function isSame(one: DomainRecord, other: DomainRecord): boolean {
  const key = ({ changes, onCommands, offCommands }: DomainRecord) =>
    JSON.stringify([changes.map(({ path, text }) => [path, text]), onCommands, offCommands])
  return key(one) === key(other)
}

async function whatIsOn({ domain, names, trust }: DomainRecord): Promise<string[]> {
  const lines: string[] = []
  if (names !== null) {
    const address = await findAddress(`3000-iexample.${domain}`)
    lines.push(
      address === undefined
        ? `names   ${names}, but this machine does not find names of ${domain} yet: see "npx e2b-server doctor"`
        : `names   *.${domain} is ${address}: ${names}`,
    )
  }
  if (trust !== null) {
    lines.push(
      `trust   curl, git and whatever else reads this machine's store: ${trust}`,
      `        Node.js and Python have stores of their own: eval "$(npx e2b-server env)", or for every user`,
      `        NODE_EXTRA_CA_CERTS=${trust}`,
    )
  }
  return lines
}

/** By the system's resolver, which may just be starting again. */
async function findAddress(name: string): Promise<string | undefined> {
  const deadline = performance.now() + foundMs.limit
  for (;;) {
    const found = await dns.lookup(name).catch(() => undefined)
    if (found !== undefined || performance.now() > deadline) return found?.address
    await sleep(foundMs.look)
  }
}

async function run(command: string[]): Promise<void> {
  const [program, ...args] = command
  try {
    await promisify(execFile)(program!, args, { timeout: commandTimeoutMs })
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    throw new ConfigError(
      `"${command.join(' ')}" failed: ${stderr?.trim() || message} When that is mended, run this command again, or "domain off".`,
    )
  }
}

function requireRoot(word: 'on' | 'off', stateDir: string, script: string[]): void {
  if (process.getuid?.() === 0) return
  throw new ConfigError(
    `Only root may change this machine's names and trust: sudo env "PATH=$PATH" npx e2b-server domain ${word} --state-dir ${stateDir}\nIt does what these commands do:\n${script.join('\n')}`,
  )
}

async function withLock<T>(stateDir: string, use: () => Promise<T>): Promise<T> {
  const lock = tryLock(stateDir, 'domain.lock')
  if (lock === undefined)
    throw new ConfigError('Another "domain on" or "off" is at work. Run this again when it is done.')
  try {
    return await use()
  } finally {
    lock.release()
  }
}
