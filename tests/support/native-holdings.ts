import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ImageRecord, toInfo } from '../../src/images/image-record.ts'
import { askHelper } from './helper.ts'
import type { GuestState, Holdings, Owner } from './holdings.ts'
import { loseMachine } from './native-reboot.ts'

const states: Record<string, GuestState> = { running: 'running', frozen: 'paused', stopped: 'stopped' }
const groupsRoot = '/sys/fs/cgroup'
/** Of images that are kept for all servers of this machine */
const sharedRecords = '/var/lib/e2b-server/images/records'

/** What a helper and the kernel have of a server. `kind`: its runtime. */
export function nativeHoldings({ stateDir, instanceId }: Owner, kind: string): Holdings {
  const root = join(stateDir, kind)
  const ownRecords = join(stateDir, kind === 'native' ? 'image-records' : `${kind}-image-records`)
  const below = (folder: string) => (existsSync(join(root, folder)) ? readdirSync(join(root, folder)) : [])
  /** A helper without a server ends after a while: then there is nobody to ask what is frozen, or to freeze anything. */
  const isHere = () =>
    askHelper(root, 'list').then(
      () => true,
      () => false,
    )
  const find = (sandbox: string) => askHelper(root, 'find', { sandbox })
  const ofInstance = (text: string) => text.split('\n').filter((line) => line.includes(instanceId))

  return {
    async guests() {
      const names = below('guests')
      const found = await Promise.all(
        names.map(async (name) => {
          const state = (await isHere()) ? states[String((await find(name)).state)] : 'stopped'
          return [name, state ?? 'stopped'] as const
        }),
      )
      return new Map(found)
    },
    images: async () => recordsIn(ownRecords).flatMap(({ image, isOwn }) => (isOwn ? [image] : [])),
    async named(repository) {
      const all = [...recordsIn(ownRecords), ...recordsIn(sharedRecords)].map(({ image }) => image)
      return [...new Set(all)].filter((image) => image.startsWith(`${repository}:`))
    },
    async idOf(image) {
      const record = [...recordsIn(ownRecords), ...recordsIn(sharedRecords)].find(
        (each) => each.image === image,
      )
      if (record === undefined) throw new Error(`There is no image ${image}.`)
      return toInfo(record).id
    },
    directories: () => below('guests'),
    remainders() {
      const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
      return [
        ...[...below('sockets'), ...below('spool')].map((name) => `file ${name}`),
        ...mounts.filter((line) => line.includes(`${root}/guests/`)).map((line) => `mount ${line}`),
      ]
    },
    async networks() {
      const [links, tables] = await Promise.all([
        promisify(execFile)('ip', ['-brief', 'link']),
        promisify(execFile)('nft', ['list', 'tables']),
      ])
      const groups = existsSync(groupsRoot) ? readdirSync(groupsRoot) : []
      const own = groups.filter((name) => existsSync(join(groupsRoot, name, `e2bn-${instanceId}`)))
      return [
        ...ofInstance(links.stdout).map((line) => `link ${line.split(/[@ ]/)[0]}`),
        ...ofInstance(tables.stdout),
        ...own.map((name) => `group ${name}`),
      ]
    },
    reboot: () => loseMachine(root, instanceId),
    async removeGuests() {
      for (const sandbox of below('guests')) await askHelper(root, 'kill', { sandbox })
    },
    // They are files of the state directory.
    removeImages: async () => {},
  }
}

function recordsIn(folder: string): ImageRecord[] {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []
  return names.flatMap((name) => {
    try {
      return [JSON.parse(readFileSync(join(folder, name), 'utf8'))]
    } catch (error) {
      // Another server has removed what all share.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw error
    }
  })
}
