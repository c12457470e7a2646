import { once } from 'node:events'
import { readdir, readFile, readlink, stat, symlink } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import type { Runtime } from '../../domain/runtime.ts'
import { hello } from '../../guest/hello.ts'
import { sleep } from '../../lib/deadline.ts'
import { newId } from '../../lib/ids.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { containerName, instanceLabel, instancePrefix } from './container.ts'
import { testContract } from './contract.fixture.ts'
import { container, docker, patience, server } from './runtime.fixture.ts'

const image = await baseImageName()
const isRoot = process.getuid?.() === 0

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)

if (isRoot) await testContract('unix', { copiesImages: true })

describe('docker runtime', () => {
  let one: Awaited<ReturnType<typeof server>>
  let runtime: Runtime

  beforeAll(async () => {
    one = await server()
    runtime = one.create()
  })
  afterAll(async () => {
    await runtime.close()
    await one.dispose()
  })

  test.runIf(isRoot)(
    'a socket that the guest replaced by a link to one of the host is not followed',
    async () => {
      const handle = await runtime.start(guestSpec(image), patience())
      const path = join(one.stateDir, 'planted.sock')
      let visitors = 0
      const planted = createServer((socket) => {
        visitors++
        socket.destroy()
      }).listen(path)
      await once(planted, 'listening')

      // As the guest's root would do it; the target is outside of what it can see, so it is planted from here.
      const socket = join(one.stateDir, 'run', handle.sandboxId, 'agent.sock')
      await run(guestOf(runtime, handle), 'rm /run/e2b-guest/socket/agent.sock')
      await symlink(path, socket)
      // The runtime that saw the socket still reaches the agent; a later one refuses what is there.
      expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)
      const later = one.create()
      expect(await later.recover(handle, patience())).toBe('cut-off')
      await expect(later.connect(handle, patience())).rejects.toMatchObject({ code: 'unavailable' })
      expect(visitors).toBe(0)
      await later.destroy(handle, patience())
      expect((await stat(path)).isSocket()).toBe(true)
      await later.close()
      planted.close()
    },
  )

  test.runIf(isRoot)('a guest that is gone leaves no open file in the server', async () => {
    const handle = await runtime.start(guestSpec(image), patience())
    const held = async () => {
      const files = await readdir('/proc/self/fd')
      const targets = await Promise.all(
        files.map((file) => readlink(`/proc/self/fd/${file}`).catch(() => '')),
      )
      return targets.filter((target) => target.includes(handle.sandboxId)).length
    }
    expect(await held()).toBe(1)
    await runtime.destroy(handle, patience())
    expect(await held()).toBe(0)
  })

  test('nobody but the server gets into the directories of guests, whatever a guest does to its own', async () => {
    const handle = await runtime.start(guestSpec(image), patience())
    await run(guestOf(runtime, handle), 'chmod 777 /run/e2b-guest/socket')
    expect((await stat(join(one.stateDir, 'run'))).mode & 0o777).toBe(0o700)
    await runtime.destroy(handle, patience())
  })

  test('a guest that another engine has is not taken for gone', async () => {
    const handle = await runtime.start(guestSpec(image), patience())
    const elsewhere = { ...handle, state: { ...handle.state, engine: 'another one' } }
    expect(await runtime.recover(elsewhere, patience())).toBe('running')
    await runtime.destroy(handle, patience())
    expect(await runtime.recover(handle, patience())).toBe('gone')
    await expect(runtime.recover(elsewhere, patience())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('another Docker engine'),
    })
  })

  test('sandboxes share a network and do not reach each other', async () => {
    const [first, second] = await Promise.all([
      runtime.start(guestSpec(image), patience()),
      runtime.start(guestSpec(image), patience()),
    ])
    const open = 'python3 -m http.server 8080 >/dev/null 2>&1 & hostname -I'
    const address = (await run(guestOf(runtime, first), open)).stdout.trim()
    expect(address).toMatch(/^[\d.]+$/)
    const ask = `curl -s -m 2 -o /dev/null -w '%{http_code}' http://${address}:8080/`
    await waitFor(async () => (await run(guestOf(runtime, first), ask)).stdout === '200')
    expect((await run(guestOf(runtime, second), ask)).stdout).toBe('000')
    const gateway = "ip route | awk '/default/ {print $3}'"
    expect((await run(guestOf(runtime, second), gateway)).stdout).toBe(
      (await run(guestOf(runtime, first), gateway)).stdout,
    )
    for (const handle of [first, second]) await runtime.destroy(handle, patience())
  })

  test('one network serves all starts, is found again and is made anew when somebody removed it', async () => {
    const starts = await Promise.all([1, 2, 3].map(() => runtime.start(guestSpec(image), patience())))
    const later = one.create()
    starts.push(await later.start(guestSpec(image), patience()))
    const filters = { label: [`${instanceLabel}=${one.instanceId}`] }
    expect(await docker.listNetworks({ filters })).toHaveLength(1)
    for (const handle of starts) await runtime.destroy(handle, patience())
    await docker.getNetwork(`e2b-${instancePrefix(one.instanceId)}`).remove()
    const handle = await later.start(guestSpec(image), patience())
    expect((await hello(guestOf(later, handle), patience())).protocol).toBe(1)
    await later.destroy(handle, patience())
    await later.close()
  })

  test('the container is limited, labelled and runs the agent as process 1, whatever its image says', async () => {
    const handle = await runtime.start(
      guestSpec(image, { cpuCount: 64, memoryMb: 256, hostname: 'box' }),
      patience(),
    )
    const { Config: config, HostConfig: host, Name: name } = await container(handle).inspect()
    expect(name).toBe(`/${containerName(one.instanceId, handle.sandboxId)}`)
    expect(config.Labels).toMatchObject({
      'e2b-server.instance': one.instanceId,
      'e2b-server.sandbox': handle.sandboxId,
    })
    expect(host).toMatchObject({
      Memory: 256 * 2 ** 20,
      MemorySwap: 256 * 2 ** 20,
      CpuQuota: 6_400_000,
      CpuShares: 4096,
      Privileged: false,
      LogConfig: { Type: 'none' },
      RestartPolicy: { Name: 'no' },
    })
    const inside = await run(
      guestOf(runtime, handle),
      'hostname; tr "\\0" " " < /proc/1/cmdline; sudo -u user sudo id -u',
    )
    expect(inside.stdout).toBe('box\n/run/e2b-guest/agent --listen unix:/run/e2b-guest/socket/agent.sock 0\n')
    await runtime.destroy(handle, patience())
  })

  test('an agent that the image cannot run fails the start and leaves nothing', async () => {
    const broken = await server({ guestBinary: '/etc/hostname' })
    const failing = broken.create()
    await expect(failing.start(guestSpec(image), patience())).rejects.toMatchObject({ code: 'internal' })
    // One that runs and ends at once.
    const ending = await server({ guestBinary: '/bin/true' })
    const other = ending.create()
    await expect(other.start(guestSpec(image), patience())).rejects.toThrow('exit status')
    for (const each of [failing, other]) {
      expect(await each.list(patience())).toEqual([])
      await each.close()
    }
    await broken.dispose()
    await ending.dispose()
  })

  test('an unreachable registry is unavailable', async () => {
    await expect(runtime.images.pull('registry.invalid/image:tag', {}, patience())).rejects.toMatchObject({
      code: expect.stringMatching(/unavailable|not_found/),
    })
    await expect(runtime.images.pull('Not An Image', {}, patience())).rejects.toMatchObject({
      code: 'invalid_argument',
    })
  })

  test('images are copied, measured and removed', async () => {
    const copy = `e2b-server/copy-${newId()}`
    await docker.getImage(image).tag({ repo: copy, tag: 'latest' })
    expect(await runtime.images.inspect(copy, patience())).toEqual(
      await runtime.images.inspect(image, patience()),
    )
    await runtime.images.remove(copy, patience())
    await runtime.images.remove(copy, patience())
    expect(await runtime.images.inspect(copy, patience())).toBeUndefined()
    expect(await runtime.images.inspect(image, patience())).toBeDefined()
  })
})

/** Polls a condition of the world outside, which has no event; bounded by the test's own timeout. */
async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20)
}

describe('docker runtime over tcp', () => {
  test('keeps the secret out of handle, labels, arguments and environment, and refuses others', async () => {
    const one = await server({ transport: 'tcp' })
    const runtime = one.create()
    const handle = await runtime.start(guestSpec(image), patience())
    const path = join(one.stateDir, 'run', handle.sandboxId, 'secret')
    const secret = await readFile(path, 'utf8')
    expect(secret).toMatch(/^[0-9a-f]{64}$/)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(JSON.stringify([handle, await container(handle).inspect()])).not.toContain(secret)
    // The port itself is open to this machine, and useless without the secret.
    const { Ports: ports } = (await container(handle).inspect()).NetworkSettings
    expect(Object.values(ports).flat()).toEqual([
      { HostIp: '127.0.0.1', HostPort: String(handle.state.port) },
    ])
    const bare = { connect: async () => connect(Number(handle.state.port), '127.0.0.1') }
    await expect(hello(bare, patience())).rejects.toThrow()
    await runtime.close()
    await one.dispose()
  })
})
