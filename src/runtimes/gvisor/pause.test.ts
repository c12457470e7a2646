/** What a kernel of its own could lose over pauses, and over the end of the helper. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { helloOf } from '../../../tests/support/helper.ts'
import { hello } from '../../guest/hello.ts'
import { sleep } from '../../lib/deadline.ts'
import { count, guestOf, guestSpec, patience, run } from '../tools.suite.ts'
import { image, server } from './runtime.fixture.ts'

const one = await server()
const runtime = one.create()
beforeAll(() => runtime.images.inspect(image, AbortSignal.timeout(600_000)), 15 * 60_000)
afterAll(one.dispose)

async function started() {
  const handle = await runtime.start(guestSpec(image, { memoryMb: 256 }), patience())
  return { handle, guest: guestOf(runtime, handle) }
}

test('what is started after several pauses runs as before them', async () => {
  const { handle, guest } = await started()
  // Its place in the guest's kernel is taken over by one that comes later.
  await run(guest, 'true')
  for (let pauses = 0; pauses < 3; pauses++) {
    await runtime.pause(handle, { memory: true }, patience())
    await runtime.resume(handle, patience())
    for (let times = 0; times < 3; times++) {
      expect(await run(guest, 'id -un; id -un')).toMatchObject({
        stdout: 'root\nroot\n',
        status: 'exit status 0',
      })
    }
  }
  await runtime.destroy(handle, patience())
})

test('guests outlive a helper that is killed, running and paused ones', async () => {
  const [running, paused] = [await started(), await started()]
  const { boot } = await hello(running.guest, patience())
  const counter = await count(running.guest)
  await counter.next()
  await runtime.pause(paused.handle, { memory: true }, patience())
  const { pid } = await helloOf(one.root)
  process.kill(Number(pid), 'SIGKILL')
  const found = () => runtime.recover(running.handle, patience()).catch(() => 'no helper yet')
  for (const late = patience(); (await found()) !== 'running'; await sleep(50, late));
  expect(Number((await helloOf(one.root)).pid)).not.toBe(pid)
  expect(await runtime.recover(paused.handle, patience())).toBe('paused')
  expect(await counter.next()).toBeGreaterThan(1)
  await counter.stop()
  expect(await hello(running.guest, patience())).toMatchObject({ boot, processes: 1 })
  await runtime.resume(paused.handle, patience())
  expect((await run(paused.guest, 'echo on')).stdout).toBe('on\n')
  for (const { handle } of [running, paused]) await runtime.destroy(handle, patience())
  expect(await runtime.list(patience())).toEqual([])
})

test('a closed guest is told at once that nobody is reached, and an open one reaches name servers', async () => {
  const { handle, guest } = await started()
  await runtime.setEgress(handle, 'closed', patience())
  const ask = 'timeout 20 python3 -c "import socket; socket.getaddrinfo(\'name.invalid\', 80)" 2>&1 | tail -1'
  expect((await run(guest, ask)).stdout).toMatch(/gaierror: .*emporary failure/)
  await runtime.setEgress(handle, 'open', patience())
  expect((await run(guest, ask)).stdout).toMatch(/gaierror: .*not known/)
  await runtime.destroy(handle, patience())
})
