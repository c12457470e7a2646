import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { rowOf } from '../../tests/support/control.ts'
import type { Disk } from '../domain/machine.ts'
import type { NodeStatus } from '../domain/node-status.ts'
import type { Store } from '../domain/store.ts'
import { type TeamLimits, unlimited } from '../domain/team.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { type AdmissionParts, type AdmissionRequest, createAdmission } from './admission.ts'

const gib = 2 ** 30
const never = new AbortController().signal
const disk: Disk = {
  mountPoint: '/data',
  device: '/dev/vda',
  filesystemType: 'ext4',
  totalBytes: 100 * gib,
  usedBytes: 0,
  freeBytes: 100 * gib,
}

let store: Store
/** A wall clock and a machine that the test sets. */
let now: number
let status: NodeStatus
let memory: { totalBytes: number; availableBytes: number }
let disks: Disk[]
beforeEach(async () => {
  store = await openSqliteStore({ path: ':memory:' })
  for (const id of ['red', 'blue'])
    await store.teams.create({ id, name: id, slug: id, createdAt: 0, limits: {} })
  now = 1_000_000
  status = 'ready'
  memory = { totalBytes: 16 * gib, availableBytes: 16 * gib }
  disks = [disk]
})
afterEach(() => store.close())

function admissionOf(limits: Partial<TeamLimits> = {}, parts: Partial<AdmissionParts> = {}) {
  return createAdmission({
    store,
    machine: {
      memory: () => memory,
      freeBytes: () => disks.map(({ freeBytes }) => freeBytes),
      disks: async () => disks,
      cpu: () => {
        throw new Error('nobody asks')
      },
    },
    status: () => status,
    clock: { now: () => now },
    limits: { ...unlimited, ...limits },
    maxStarting: 100,
    startWaitMs: 60_000,
    keepFree: { memoryMb: null, diskMb: 1024 },
    ...parts,
  })
}

function create(values: Partial<AdmissionRequest> = {}): AdmissionRequest {
  return { teamId: 'red', kind: 'create', cpuCount: 2, memoryMb: 512, diskMb: 1024, ...values }
}

/** Starts as a use case does: admitted, then a row that runs, then the turn is given back. */
async function start(
  admission: ReturnType<typeof admissionOf>,
  id: string,
  request = create(),
): Promise<void> {
  const release = await admission.enter(request, never)
  try {
    await store.sandboxes.create(rowOf({ ...request, id, state: 'creating' }))
    await new Promise((resolve) => setTimeout(resolve, 5))
    await store.sandboxes.update(id, { state: 'running' })
  } finally {
    release()
  }
}

/** How many of some starts were admitted; the others were refused by a limit of the team. */
async function admittedOf(starts: Promise<unknown>[]): Promise<number> {
  const settled = await Promise.allSettled(starts)
  for (const outcome of settled) {
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'resource_exhausted' })
  }
  return settled.filter((outcome) => outcome.status === 'fulfilled').length
}

describe('limits of a team', () => {
  test('of starts at the same time exactly as many are admitted as there is room for', async () => {
    const admission = admissionOf({ runningSandboxes: 5 })
    await store.sandboxes.create(rowOf({ id: 'iold', teamId: 'red', state: 'running' }))
    await store.sandboxes.create(rowOf({ id: 'ipaused', teamId: 'red', state: 'paused' }))
    const many = Array.from({ length: 20 }, (_, index) => start(admission, `i${index}`))
    expect(await admittedOf(many)).toBe(4)
    await expect(admission.enter(create(), never)).rejects.toMatchObject({
      message: expect.stringMatching(/maximum number of concurrent E2B sandboxes \(5\).*--sandboxes/),
      retryAfterS: 1,
    })
    expect(await admittedOf([admission.enter(create({ teamId: 'blue' }), never)])).toBe(1)
  })

  test('a sandbox that has just begun to run isn’t counted twice', async () => {
    const admission = admissionOf({ runningSandboxes: 30 })
    const starts: Promise<void>[] = []
    for (let index = 0; index < 30; index++) {
      starts.push(start(admission, `i${index}`))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(await admittedOf(starts)).toBe(30)
  })

  test('a start that is over without a sandbox leaves its room to others', async () => {
    const admission = admissionOf({ runningSandboxes: 1 })
    const release = await admission.enter(create(), never)
    expect(await admittedOf([admission.enter(create(), never)])).toBe(0)
    release()
    release()
    expect(await admittedOf([admission.enter(create(), never), admission.enter(create(), never)])).toBe(1)
  })

  test('CPU and memory are sums, of resumes too', async () => {
    const admission = admissionOf({ vcpu: 5, memoryMb: 1024 })
    await admission.enter(create({ cpuCount: 4, memoryMb: 128 }), never)
    await expect(admission.enter(create(), never)).rejects.toMatchObject({
      message: expect.stringMatching(/needs 2 vCPU.* have 4 of at most 5.*--vcpu/),
      retryAfterS: 1,
    })
    await expect(
      admission.enter(create({ kind: 'resume', cpuCount: 1, memoryMb: 1024 }), never),
    ).rejects.toMatchObject({
      message: expect.stringMatching(/needs 1024 MiB.* have 128 of at most 1024.*--memory-mb/),
      retryAfterS: 1,
    })
    expect(await admittedOf([admission.enter(create({ cpuCount: 1, memoryMb: 896 }), never)])).toBe(1)
  })

  test('a team’s own limits count instead of the server’s, at once, and may be none', async () => {
    const admission = admissionOf({ runningSandboxes: 0, lifetimeS: 3600 })
    expect(await admittedOf([admission.enter(create(), never)])).toBe(0)
    await store.teams.setLimits('red', { runningSandboxes: null })
    expect(await admittedOf([admission.enter(create(), never)])).toBe(1)
    expect(await admission.limitsOf('red')).toEqual({ ...unlimited, lifetimeS: 3600 })
  })
})

describe('a rate of creates', () => {
  test('is kept, says when to come again, and doesn’t count resumes', async () => {
    const admission = admissionOf({ createsPerSecond: 2 })
    expect(await admittedOf([1, 2, 3, 4].map(() => admission.enter(create(), never)))).toBe(2)
    expect(await admittedOf([admission.enter(create({ kind: 'resume' }), never)])).toBe(1)
    expect(await admittedOf([admission.enter(create({ teamId: 'blue' }), never)])).toBe(1)
    now += 1_000
    expect(await admittedOf([1, 2, 3].map(() => admission.enter(create(), never)))).toBe(2)
    await expect(admission.enter(create(), never)).rejects.toMatchObject({
      code: 'resource_exhausted',
      retryAfterS: 1,
      rateLimit: { limit: 2, remaining: 0, resetS: 1 },
      message: expect.stringMatching(/^Rate limit exceeded: .*2 sandboxes per second.*--creates-per-second/),
    })
    await store.teams.setLimits('red', { createsPerSecond: 0.1 })
    now += 2_000
    await expect(admission.enter(create(), never)).rejects.toMatchObject({
      retryAfterS: 8,
      rateLimit: { limit: 1, remaining: 0, resetS: 8 },
    })
  })

  test('isn’t used up by starts that are refused for other reasons', async () => {
    const admission = admissionOf({ createsPerSecond: 1, runningSandboxes: 1 })
    const release = await admission.enter(create({ kind: 'resume' }), never)
    await expect(admission.enter(create(), never)).rejects.toThrow('concurrent E2B sandboxes')
    release()
    disks = [{ ...disk, freeBytes: 0 }]
    await expect(admission.enter(create(), never)).rejects.toMatchObject({ code: 'unavailable' })
    disks = [disk]
    expect(await admittedOf([admission.enter(create(), never)])).toBe(1)
  })
})

describe('the machine', () => {
  test('starts so many at once; the others wait their turn, and teams take turns', async () => {
    const admission = admissionOf({}, { maxStarting: 1 })
    const order: string[] = []
    const begin = async (teamId: string) => {
      const release = await admission.enter(create({ teamId }), never)
      order.push(teamId)
      await new Promise((resolve) => setTimeout(resolve, 5))
      release()
    }
    const first = await admission.enter(create(), never)
    const waiting = [begin('red'), begin('red'), begin('red'), begin('blue'), begin('blue')]
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(order).toEqual([])
    first()
    await Promise.all(waiting)
    expect(order.slice(0, 4).toSorted()).toEqual(['blue', 'blue', 'red', 'red'])
    expect(order[4]).toBe('red')
  })

  test('who waits too long is told when to come again', async () => {
    const admission = admissionOf({}, { maxStarting: 1, startWaitMs: 20 })
    const release = await admission.enter(create(), never)
    await expect(admission.enter(create(), never)).rejects.toMatchObject({
      code: 'unavailable',
      retryAfterS: 2,
      errorCode: 'sandbox_capacity_unavailable',
      message: expect.stringMatching(/^Failed to place sandbox: .*none of 1 turns/),
    })
    release()
    await admission.enter(create(), never)
  })

  test('as many wait as may; a client that leaves makes room at once', async () => {
    const admission = admissionOf({}, { maxStarting: 1 })
    const release = await admission.enter(create(), never)
    const leaving = new AbortController()
    const waiting = Array.from({ length: 256 }, () => admission.enter(create(), leaving.signal))
    const outcomes = Promise.allSettled(waiting)
    await expect(admission.enter(create(), never)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('256 starts are waiting already'),
    })
    const other = admission.enter(create({ teamId: 'blue' }), never)
    leaving.abort(new DOMException('The client left.', 'AbortError'))
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { name: 'AbortError' } })
    release()
    ;(await other)()
    await admission.enter(create(), never)
  })

  test('a draining node starts nothing, not even what waits already', async () => {
    const admission = admissionOf({}, { maxStarting: 1 })
    const release = await admission.enter(create(), never)
    const waiting = admission.enter(create(), never)
    await new Promise((resolve) => setTimeout(resolve, 20))
    status = 'draining'
    const refusal = { code: 'unavailable', retryAfterS: 30, message: expect.stringContaining('draining') }
    await expect(admission.enter(create(), never)).rejects.toMatchObject(refusal)
    release()
    await expect(waiting).rejects.toMatchObject(refusal)
    status = 'ready'
    await admission.enter(create(), never)
  })

  test('memory that starts under way will take isn’t given twice', async () => {
    const admission = admissionOf()
    // 5 % of 16 GiB are kept free, rounded up to 820 MiB, and 64 MiB for each start under way.
    memory.availableBytes = 900 * 2 ** 20
    await admission.enter(create(), never)
    const second = await admission.enter(create(), never)
    const refusal = {
      code: 'unavailable',
      retryAfterS: 10,
      message: expect.stringMatching(/900 MiB.*948 MiB/),
    }
    await expect(admission.enter(create(), never)).rejects.toMatchObject(refusal)
    second()
    await admission.enter(create(), never)
  })

  test('of small machines and of disks a fixed part is kept free, which can be set', async () => {
    memory = { totalBytes: gib, availableBytes: 255 * 2 ** 20 }
    await expect(admissionOf().enter(create(), never)).rejects.toThrow(
      /255 MiB.*256 MiB.*--min-free-memory-mb/,
    )
    const modest = admissionOf({}, { keepFree: { memoryMb: 100, diskMb: 2048 } })
    await modest.enter(create(), never)
    disks = [disk, { ...disk, mountPoint: '/engine', freeBytes: 2 * gib - 1 }]
    await expect(modest.enter(create(), never)).rejects.toThrow(/2047 MiB are free on \/engine.*2048 MiB/)
  })

  test('a guest that is up takes nobody’s turn, and its team’s limits until its start is over', async () => {
    const admission = admissionOf({ runningSandboxes: 1 }, { maxStarting: 1 })
    const first = await admission.enter(create(), never)
    first.isUp()
    await admission.enter(create({ teamId: 'blue' }), never)
    await expect(admission.enter(create(), never)).rejects.toMatchObject({ code: 'resource_exhausted' })
    first()
    // Given back once: the second holds the only turn.
    const late = AbortSignal.timeout(20)
    await expect(admission.enter(create(), late)).rejects.toMatchObject({ code: 'deadline_exceeded' })
  })

  test('who has left already isn’t admitted', async () => {
    await expect(admissionOf().enter(create(), AbortSignal.abort())).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})

describe('a guest of a build', () => {
  test('waits for room and says so once, and its start counts as every other’s', async () => {
    const admission = admissionOf({ runningSandboxes: 0 }, { maxStarting: 1 })
    memory.availableBytes = 100 * 2 ** 20
    const reasons: string[] = []
    const up = await admission.enterBuild('red', {
      onWait(why) {
        reasons.push(why)
        memory.availableBytes = 4 * gib
      },
      signal: never,
    })
    expect(reasons).toEqual([expect.stringMatching(/^This server is short of memory: 100 MiB/)])
    const late = AbortSignal.timeout(20)
    const second = admission.enterBuild('red', { onWait: () => {}, signal: late })
    await expect(second).rejects.toMatchObject({ name: 'TimeoutError' })
    up()
    await admission.enterBuild('red', { onWait: () => {}, signal: never })
  })

  test('leaves no turn taken when it is given up, and ends by what isn’t want of room', async () => {
    const admission = admissionOf({}, { maxStarting: 1 })
    disks = [{ ...disk, freeBytes: 0 }]
    const ending = new AbortController()
    const onWait = () => ending.abort(new Error('cancelled'))
    await expect(admission.enterBuild('red', { onWait, signal: ending.signal })).rejects.toThrow('cancelled')
    disks = [disk]
    await admission.enter(create(), never)
  })

  test('of a draining node starts, as its build runs already; a build doesn’t', async () => {
    const admission = admissionOf()
    status = 'draining'
    await admission.enterBuild('red', { onWait: () => {}, signal: never })
    expect(() => admission.refuseWhileDraining()).toThrow('draining')
  })
})
