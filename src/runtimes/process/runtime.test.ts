import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { agentBinary } from '../../../tests/support/agent.ts'
import type { Runtime } from '../../domain/runtime.ts'
import { hello } from '../../guest/hello.ts'
import { newId, newSandboxId } from '../../lib/ids.ts'
import { silentLog } from '../../lib/log.ts'
import { runRuntimeSuite } from '../runtime.suite.ts'
import { guestOf, guestSpec, run, watch } from '../tools.suite.ts'
import type { Faults } from './faults.ts'
import { findProcess } from './proc-table.ts'
import { createProcessRuntime } from './runtime.ts'

const patience = () => AbortSignal.timeout(20_000)
const instanceId = newId()
const root = join(tmpdir(), `e2b-process-${instanceId}`)
const isRoot = process.getuid?.() === 0

function create(faults: Faults = {}): Runtime {
  const shared = { guestBinary: agentBinary, instanceId, log: silentLog }
  return createProcessRuntime({ ...shared, acknowledgeNoIsolation: true, faults })
}

afterAll(async () => {
  const runtime = create()
  for (const handle of await runtime.list(patience())) await runtime.destroy(handle, patience())
  await runtime.close()
})

runRuntimeSuite({
  name: 'process',
  create,
  image: 'none',
  kill: async ({ state }) => {
    process.kill(Number(state.pid), 'SIGKILL')
  },
  hasEngine: false,
  copiesImages: true,
  plantRemainder: async (sandboxId) => {
    await mkdir(join(root, sandboxId), { recursive: true })
  },
})

describe('process runtime', () => {
  test('must be asked for by name', () => {
    const options = { guestBinary: agentBinary, instanceId, log: silentLog, acknowledgeNoIsolation: false }
    expect(() => createProcessRuntime(options)).toThrow('no isolation')
  })

  test.runIf(isRoot)('a root server runs agents as nobody', async () => {
    const runtime = create()
    const handle = await runtime.start(guestSpec('none'), patience())
    const guest = guestOf(runtime, handle)
    expect((await run(guest, 'id -u; echo ok > ~/file; cat ~/file')).stdout).toBe('65534\nok\n')
    expect((await run(guest, `cat ${join(root, handle.sandboxId, 'state.json')}`)).status).toBe(
      'exit status 1',
    )
    await runtime.destroy(handle, patience())
  })

  test('destroy reaches processes that have left their session and lost their parent', async () => {
    const runtime = create()
    const handle = await runtime.start(guestSpec('none'), patience())
    const script = 'setsid sh -c "sleep 1000 >/dev/null 2>&1 & echo \\$! > ~/pid"; cat ~/pid'
    const pid = Number((await run(guestOf(runtime, handle), script)).stdout)
    expect(await findProcess(pid)).toBeDefined()
    await runtime.destroy(handle, patience())
    expect(await findProcess(pid)).toBeUndefined()
  })

  test('never kills a process that has got the number of an earlier one', async () => {
    const runtime = create()
    const handle = await runtime.start(guestSpec('none'), patience())
    const reused = { ...handle, state: { ...handle.state, startTicks: Number(handle.state.startTicks) - 1 } }
    await writeFile(join(root, handle.sandboxId, 'state.json'), JSON.stringify(reused.state))
    expect(await runtime.recover(reused, patience())).toBe('stopped')
    expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)
    await runtime.destroy(handle, patience())
  })
})

describe('faults of the process runtime', () => {
  test('startDelayMs makes a start slow, and it can be given up meanwhile', async () => {
    const runtime = create({ startDelayMs: 300 })
    const before = performance.now()
    const handle = await runtime.start(guestSpec('none'), patience())
    expect(performance.now() - before).toBeGreaterThan(295)
    await runtime.destroy(handle, patience())
    const slow = create({ startDelayMs: 60_000 })
    await expect(slow.start(guestSpec('none'), AbortSignal.timeout(50))).rejects.toMatchObject({
      code: 'deadline_exceeded',
    })
    expect(await slow.list(patience())).toEqual([])
  })

  test('failStart fails a start and leaves nothing', async () => {
    const runtime = create({ failStart: true })
    await expect(runtime.start(guestSpec('none'), patience())).rejects.toMatchObject({ code: 'internal' })
    expect(await runtime.list(patience())).toEqual([])
  })

  test('dieAfterMs ends a guest, which is reported', async () => {
    const runtime = create({ dieAfterMs: 100 })
    const watching = watch(runtime)
    const handle = await runtime.start(guestSpec('none'), patience())
    await watching.seen('guest-gone', handle.sandboxId)
    watching.stop()
    await runtime.destroy(handle, patience())
  })

  if (isRoot) {
    test('diskFull ends writes with ENOSPC, and its file system goes with the guest', async () => {
      const sandboxId = newSandboxId()
      const runtime = create({ diskFull: true })
      const handle = await runtime.start(guestSpec('none', { sandboxId }), patience())
      const full = await run(guestOf(runtime, handle), 'head -c 1000000 /dev/zero > ~/file')
      expect(full.stderr).toContain('No space left on device')
      await runtime.close()
      // A later server, without the fault, still frees it.
      await create().destroy(handle, patience())
      expect(existsSync(join(root, sandboxId))).toBe(false)
    })
  } else {
    test('diskFull needs root', async () => {
      const runtime = create({ diskFull: true })
      await expect(runtime.start(guestSpec('none'), patience())).rejects.toMatchObject({
        code: 'failed_precondition',
      })
      expect(await runtime.list(patience())).toEqual([])
    })
  }

  test('closing the last runtime leaves nothing', async () => {
    await create().close()
    expect(existsSync(root)).toBe(false)
  })
})
