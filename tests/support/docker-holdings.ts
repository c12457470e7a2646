import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { cgroupMounts, cgroupsOf, findCgroup } from '../../src/runtimes/docker/cgroup.ts'
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
        await Promise.all(
          found.map(async ({ Id, Labels, State }): Promise<[string, GuestState]> => {
            const isStill = State === 'running' && (await isFrozen(docker, Id).catch(() => false))
            return [Labels['e2b-server.sandbox'] ?? '', isStill ? 'paused' : (states[State] ?? 'stopped')]
          }),
        ),
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

/**
 * Whether the kernel has frozen what an engine takes for running: one that was killed in the middle of a freeze. Errors: it has
 * gone meanwhile.
 */
async function isFrozen(docker: Docker, id: string): Promise<boolean> {
  const { State } = await docker.getContainer(id).inspect()
  const cgroup = findCgroup('freezer', await cgroupsOf(State.Pid), await cgroupMounts())
  if (!cgroup?.directory.includes(id)) return false
  const file = cgroup.version === 1 ? 'freezer.state' : 'cgroup.freeze'
  return /^(FROZEN|1)$/.test(readFileSync(join(cgroup.directory, file), 'utf8').trim())
}

/** How many lines the rules of a network of sandboxes have. */
async function rulesOf(network: string): Promise<number> {
  const table = network.replaceAll('-', '_')
  const { stdout } = await promisify(execFile)('nft', ['list', 'table', 'inet', table])
  return stdout.split('\n').length
}
