import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { enginePath } from '../../src/runtimes/docker/socket-path.ts'
import type { GuestState, Holdings, Owner } from './holdings.ts'

const states: Record<string, GuestState> = { running: 'running', paused: 'paused', exited: 'stopped' }

/** What an engine and its kernel have of a server. */
export function dockerHoldings({ stateDir, instanceId }: Owner, env: Record<string, string>): Holdings {
  const docker = new Docker({ socketPath: enginePath(env.DOCKER_HOST ?? process.env.DOCKER_HOST) })
  const filters = { label: [`e2b-server.instance=${instanceId}`] }
  const containers = () => docker.listContainers({ all: true, filters })
  const images = async () => (await docker.listImages({ filters })).flatMap(({ RepoTags }) => RepoTags ?? [])
  const runDir = join(stateDir, 'run')

  return {
    images,
    async named(repository) {
      const found = await docker.listImages({ filters: { reference: [repository] } })
      return found.flatMap(({ RepoTags }) => RepoTags ?? [])
    },
    idOf: async (image) => (await docker.getImage(image).inspect()).Id,
    async guests() {
      const found = await containers()
      return new Map(
        found.map(({ Labels, State }) => [Labels['e2b-server.sandbox'] ?? '', states[State] ?? 'stopped']),
      )
    },
    directories: () => (existsSync(runDir) ? readdirSync(runDir) : []),
    remainders() {
      const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
      return mounts.filter((line) => line.includes(`${runDir}/`)).map((line) => `mount ${line}`)
    },
    async networks() {
      const names = (await docker.listNetworks({ filters })).map(({ Name }) => Name)
      return Promise.all(names.map(async (name) => `${name} with ${await rulesOf(name)} lines of rules`))
    },
    async reboot() {
      for (const { Id, State } of await containers()) {
        if (State === 'paused') await docker.getContainer(Id).unpause()
        if (State !== 'exited') await docker.getContainer(Id).kill()
      }
    },
    async removeGuests() {
      for (const { Id } of await containers()) await docker.getContainer(Id).remove({ force: true })
      // One whose guest was gone already has none.
      for (const name of existsSync(runDir) ? readdirSync(runDir) : [])
        await promisify(execFile)('umount', [join(runDir, name)]).catch(() => {})
    },
    async removeImages() {
      // By name: what the server keeps for others is built on layers of its own.
      for (const name of await images()) {
        if (name.startsWith('e2b-server/')) await docker.getImage(name).remove({ force: true })
      }
    },
  }
}

/** How many lines the rules of a network of sandboxes have. */
async function rulesOf(network: string): Promise<number> {
  const table = network.replaceAll('-', '_')
  const { stdout } = await promisify(execFile)('nft', ['list', 'table', 'inet', table])
  return stdout.split('\n').length
}
