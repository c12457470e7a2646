/**
 * A day of clock: hundreds of sandboxes with lifetimes of every length, paused, resumed, moved, while the clock goes on
 * by half seconds where something is due and jumps now and then. Every deadline is kept: none early, none more than a
 * second late.
 */
import { expect, test } from 'vitest'
import { connectSandbox } from '../../src/control/connect-sandbox.ts'
import { createSandbox } from '../../src/control/create-sandbox.ts'
import { createExpiry } from '../../src/control/expiry.ts'
import { pauseSandbox } from '../../src/control/pause-sandbox.ts'
import { setSandboxTimeout } from '../../src/control/set-timeout.ts'
import { publicState } from '../../src/domain/sandbox-state.ts'
import { anySandbox, startControl } from '../support/control.ts'
import { createRandom } from './random.ts'
import { patience } from './world.ts'

const seed = Number(process.env.E2B_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31))
const dayMs = 24 * 3600_000
const tickMs = 500
/** How many sandboxes there are at a time; each that ends makes room for another. */
const crowd = 50

interface Tracked {
  id: string
  autoPause: boolean
  /** Undefined while it is paused */
  endAt: number | undefined
}

test('a day: every deadline within a second, none early', { timeout: 600_000 }, async () => {
  console.log(`day: seed ${seed}`)
  const random = createRandom(seed)
  let now = 1_800_000_000_000
  await using parts = await startControl({ clock: { now: () => now } })
  const { control } = parts
  const expiry = createExpiry(control)
  const options = () => ({ signal: patience(), phase: () => {} })
  const lifetimeS = () => Math.ceil(random.pick([5, 60, 900, 3600, 6 * 3600]) * (0.5 + random.next()))
  const tracked = new Map<string, Tracked>()
  let [kept, made, latestMs] = [0, 0, 0]

  const create = async () => {
    const autoPause = random.chance(0.3)
    const sandbox = await createSandbox(
      control,
      { ...anySandbox, timeoutS: lifetimeS(), onTimeout: autoPause ? 'pause' : 'kill' },
      options(),
    )
    made++
    tracked.set(sandbox.id, { id: sandbox.id, autoPause, endAt: sandbox.endAt })
  }

  /** What is at this time, against what should be. */
  const check = async () => {
    for (const it of tracked.values()) {
      const row = await control.store.sandboxes.find(it.id)
      const seen = (row && publicState(row.state)) ?? 'gone'
      if (it.endAt === undefined) {
        expect(seen).toBe('paused')
        continue
      }
      if (it.endAt > now) {
        expect(seen, `${it.id} has ${it.endAt - now} ms left`).toBe('running')
        expect(row?.endAt).toBe(it.endAt)
        continue
      }
      expect(seen).toBe(it.autoPause ? 'paused' : 'gone')
      latestMs = Math.max(latestMs, now - it.endAt)
      kept++
      if (it.autoPause) it.endAt = undefined
      else tracked.delete(it.id)
    }
  }

  const act = async () => {
    const it = random.pick([...tracked.values()])
    if (it === undefined) return
    const ref = { teamId: 'team', id: it.id }
    if (it.endAt === undefined || random.chance(0.4)) {
      const timeoutS = lifetimeS()
      const { sandbox, resumed } = await connectSandbox(control, ref, { timeoutS, memory: true }, options())
      // A connect never shortens, a resume counts anew (e2b-behaviour 1.4).
      const wanted = now + timeoutS * 1000
      expect(sandbox.endAt).toBe(resumed ? wanted : Math.max(it.endAt ?? 0, wanted))
      if (resumed) expect(sandbox.startedAt).toBe(now)
      it.endAt = sandbox.endAt
    } else if (random.chance(0.5)) {
      const timeoutS = lifetimeS()
      await setSandboxTimeout(control, ref, timeoutS, patience())
      it.endAt = now + timeoutS * 1000
    } else {
      await pauseSandbox(control, ref, { memory: random.chance(0.5) }, patience())
      expect((await control.store.sandboxes.find(it.id))?.endAt).toBe(now)
      it.endAt = undefined
    }
  }

  const end = now + dayMs
  let jumps = 0
  while (now < end) {
    while (tracked.size < crowd) await create()
    for (let acts = random.below(4); acts > 0; acts--) await act()
    // Nothing happens between ticks in which nothing is due, so those are passed over.
    const next = Math.min(...[...tracked.values()].map(({ endAt }) => endAt ?? Number.POSITIVE_INFINITY))
    const quietMs = Math.max(0, Math.min(next - now, 3600_000) - tickMs)
    now += Math.floor(quietMs / tickMs) * tickMs
    if (random.chance(0.02)) {
      // Set back: whatever is due waits for its time. The other way is a tick that is late for a reason.
      now -= 60_000
      jumps++
    }
    for (let tick = 0; tick < 3; tick++) {
      now += tickMs + random.below(200)
      await expiry.look()
      await expiry.idle()
      await check()
    }
  }
  console.log(`day: ${made} sandboxes, ${kept} deadlines, ${jumps} jumps, the latest ${latestMs} ms late`)
  expect(kept).toBeGreaterThan(200)
  expect(latestMs).toBeLessThanOrEqual(1_000)
})
