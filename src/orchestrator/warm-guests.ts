/**
 * Guests that are started ahead of the sandboxes they are for, so that a create has only to claim one. Each has an id that
 * no sandbox had before: whoever claims it makes that the sandbox's id, so that nothing about the guest changes. None is
 * claimed twice, and one that doesn't answer is never used. Its id is recorded before it is started, so that reconciliation
 * knows what a crash has left.
 */
import type { Images } from '../domain/images.ts'
import type { WarmKind } from '../domain/node.ts'
import type { GuestHandle, Runtime } from '../domain/runtime.ts'
import type { WarmFigures } from '../domain/telemetry.ts'
import type { WarmGuestStore } from '../domain/warm-guest.ts'
import type { Guest } from '../guest/guest.ts'
import { runStartCommand, startCommandDeath } from '../guest/start-command.ts'
import { abortable } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { newSandboxId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { createWaiter } from '../lib/waiter.ts'
import { configureGuest, hasCommands } from './prepare-guest.ts'
import { createStocks, nextOf, postpone, type Spare, type Stock } from './warm-stocks.ts'

export interface WarmGuests {
  /**
   * Reserves a guest of that kind that is ready; where there is none, one that is being started and will be ready sooner than
   * another. Undefined: there is neither, and the sandbox is started as others are. Each call counts as demand. What it returns
   * goes to `take` or `putBack`.
   */
  claim(kind: WarmKind): string | undefined
  /** Of one that was claimed: it waits again, unless it was taken, and then it is no longer kept here. */
  putBack(id: string): void
  /**
   * The guest of an id that was claimed, once it is up, with its build's commands ready: its receiver's from now on, and kept here
   * until it is put back. Undefined: it could not be started, what its build starts has ended, or the id was never one. Errors: the
   * signal's reason; nothing is left then.
   */
  take(id: string, signal: AbortSignal): Promise<GuestHandle | undefined>
  /** Ends one that was taken and is of no use. Never rejects: what is left of it is known to reconciliation. */
  discard(handle: GuestHandle): Promise<void>
  /** What waits and what became of claims, by what `labelOf` says of templates. */
  figures(): Record<string, WarmFigures>
  /** Whether a guest is kept here, so that nobody takes it for left over. */
  owns(id: string): boolean
  /** One that isn't there any more, as the runtime reports. */
  lost(id: string): void
  /** Ends those that wait of a template that is gone. Never rejects. */
  retire(templateId: string): Promise<void>
  /** Images, one of which goes only once nothing that waits is of it. */
  guard(images: Images): Images
  /**
   * Keeps as many ready as are wanted, and one of each of `kept` though nobody asks, until the signal aborts; resolves when
   * all that waited have ended. Never rejects.
   */
  run(kept: readonly WarmKind[], signal: AbortSignal): Promise<void>
}

export interface WarmGuestsOptions {
  runtime: Pick<Runtime, 'start' | 'destroy' | 'stats' | 'connect'>
  store: WarmGuestStore
  /** User that commands belong to when a build names none */
  defaultUser: string
  /** A turn to start one where nobody else wants it, and there is room; undefined: not now */
  admit: () => Promise<(() => void) | undefined>
  /** What those that wait may take together, in MiB; 0: there are none */
  maxMemoryMb: number
  /** What figures of a template are told under; the fewer the better */
  labelOf: (templateId: string) => string
  /** Whether a tag stands for a kind's build now. Errors: any, for which nothing is taken to have changed */
  isTagged: (kind: WarmKind) => Promise<boolean>
  /** How many wait at most: starting more is work that others would wait for */
  maxGuests: number
  log: Log
}

/** Time between two looks for something to do when nothing has happened, and when there was no turn or room, in ms. */
const lookMs = 30_000
const busyMs = 100
/**
 * How long after a claim no other is started, in ms: its sandbox is told who it is and asked for a first command, which would share
 * the processors with that. Claims that found nothing don't count, or who asks all the time would never find anything again.
 */
const calmMs = 100
/** How long one may take to be ready, and to be ended, in ms. */
const startMs = 600_000
const endMs = 30_000
/** Guests that are ended side by side. */
const parallel = 8

export function createWarmGuests(options: WarmGuestsOptions): WarmGuests {
  const { runtime, store, defaultUser, labelOf, admit, maxMemoryMb, maxGuests, isTagged, log } = options
  const stocks = createStocks(isTagged)
  /** Those that wait or are about to, and those that were claimed and not taken yet, by id */
  const waiting = new Map<string, Spare>()
  const claimed = new Map<string, Spare>()
  /** By label, since the start */
  const claims = new Map<string, Pick<WarmFigures, 'claimed' | 'missed'>>()
  const changed = createWaiter()
  let lookedAt = Number.NEGATIVE_INFINITY
  let isOn = false
  let lastClaimAt = Number.NEGATIVE_INFINITY

  return {
    claim(kind) {
      if (!isOn) return undefined
      const stock = stocks.of(kind, false)
      stock.demand.note(performance.now())
      const spare = nextOf(stock)
      const label = labelOf(kind.templateId)
      const counts = claims.get(label) ?? { claimed: 0, missed: 0 }
      claims.set(label, counts)
      if (spare === undefined) counts.missed++
      else {
        counts.claimed++
        lastClaimAt = performance.now()
        forget(spare)
        claimed.set(spare.id, spare)
      }
      changed.wake()
      return spare?.id
    },

    putBack(id) {
      const spare = claimed.get(id)
      if (spare === undefined) return
      claimed.delete(id)
      if (spare.isTaken) return
      const { stock } = spare
      if (!isOn || spare.isDead || !stocks.has(stock)) return void end(spare)
      // The next claim's, before one that has been started in its place meanwhile.
      waiting.set(id, spare)
      stock.spares = new Set([spare, ...stock.spares])
      void spare.started.then((handle) => handle ?? forget(spare))
    },

    async take(id, signal) {
      const spare = claimed.get(id)
      if (spare === undefined) return undefined
      spare.isTaken = true
      try {
        const handle = await abortable(spare.started, signal)
        spare.stop.abort()
        if (handle === undefined) return undefined
        spare.stock.failures = 0
        if (!spare.isDead) return handle
        await destroy(handle)
        return undefined
      } catch (error) {
        await end(spare)
        throw error
      }
    },
    discard: destroy,

    figures() {
      const figures: Record<string, WarmFigures> = {}
      const of = (label: string) => (figures[label] ??= { waiting: 0, starting: 0, claimed: 0, missed: 0 })
      for (const [label, counts] of claims) Object.assign(of(label), counts)
      for (const { stock, isReady } of waiting.values())
        of(labelOf(stock.kind.templateId))[isReady ? 'waiting' : 'starting']++
      return figures
    },
    owns: (id) => waiting.has(id) || claimed.has(id),

    lost(id) {
      const spare = waiting.get(id)
      if (spare === undefined) return
      log.warn({ sandboxId: id }, 'a guest that waited for its sandbox has ended')
      forget(spare)
      void end(spare)
      changed.wake()
    },

    retire: (templateId) => drain((kind) => kind.templateId === templateId),

    guard: (images) => ({
      ...images,
      async remove(image, signal) {
        await drain((kind) => kind.image === image)
        await images.remove(image, signal)
      },
    }),

    async run(kept, signal) {
      isOn = maxMemoryMb > 0
      if (!isOn) return
      for (const kind of kept) stocks.of(kind, true)
      const onAbort = () => {
        isOn = false
        for (const { stop } of waiting.values()) stop.abort()
        changed.wake()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
      await fill()
      await endAll([...waiting.values()])
    },
  }

  async function drain(isGone: (kind: WarmKind) => boolean): Promise<void> {
    await endAll(stocks.remove(isGone).flatMap(({ spares }) => [...spares]))
  }

  /** Starts what is wanted and ends what isn't, one after the other. */
  async function fill(): Promise<void> {
    while (isOn) {
      await endSuperseded()
      await trim()
      const now = performance.now()
      const stock = waiting.size < maxGuests ? stocks.neediest(now, maxMemoryMb - usedMb()) : undefined
      if (stock === undefined) {
        await pause(lookMs)
        continue
      }
      const notBefore = Math.max(stock.retryAt, lastClaimAt + calmMs)
      if (notBefore > now) {
        await pause(notBefore - now)
        continue
      }
      const endTurn = await admit().catch(() => undefined)
      if (endTurn === undefined) await pause(busyMs)
      else await add(stock, endTurn)
    }
  }

  async function endSuperseded(): Promise<void> {
    if (performance.now() - lookedAt < lookMs) return
    lookedAt = performance.now()
    const superseded = await stocks.superseded()
    await drain((kind) => superseded.has(kind))
  }

  async function pause(ms: number): Promise<void> {
    if (!isOn) return
    const timer = setTimeout(changed.wake, ms)
    await changed.wait()
    clearTimeout(timer)
  }

  function usedMb(): number {
    let sum = 0
    for (const { stock } of waiting.values()) sum += stock.costMb
    return sum
  }

  async function trim(): Promise<void> {
    const now = performance.now()
    const surplus: Spare[] = []
    for (const { spares, demand } of stocks.all()) {
      const wanted = demand.wanted(now)
      for (const spare of spares) if (spares.size > wanted) surplus.push(forget(spare))
    }
    await endAll(surplus)
  }

  /** Resolves when it is up: what its build's commands wait for holds up no other. */
  async function add(stock: Stock, endTurn: () => void): Promise<void> {
    const stop = new AbortController()
    const id = newSandboxId()
    const up = createWaiter()
    const isUp = up.wait()
    const started = start(id, stock, stop.signal, up.wake)
    const spare: Spare = { id, stock, started, stop, isReady: false, isDead: false, isTaken: false }
    keep(spare)
    const settled = started.then((handle) => {
      if (handle === undefined) {
        forget(spare)
        postpone(stock)
      } else {
        spare.isReady = true
        void lookAfter(spare, handle)
      }
    })
    await Promise.race([isUp, settled])
    endTurn()
  }

  /** Ends one that waits when what its build starts does. Never rejects. */
  async function lookAfter(spare: Spare, handle: GuestHandle): Promise<void> {
    const { id, stock, stop } = spare
    try {
      const died = await startCommandDeath(guestOf(handle), stock.kind.defaults, stop.signal)
      if (died === undefined) return
      log.warn({ sandboxId: id, status: died }, 'the start command of a guest that waited has ended')
    } catch (error) {
      if (stop.signal.aborted) return
      log.warn({ sandboxId: id, err: error }, 'a guest that waited for its sandbox no longer answers')
    }
    spare.isDead = true
    postpone(stock)
    // One that is claimed is ended by whoever takes it or puts it back.
    if (waiting.has(id)) await end(spare)
    changed.wake()
  }

  /** Never rejects. */
  async function start(
    id: string,
    stock: Stock,
    signal: AbortSignal,
    onUp: () => void,
  ): Promise<GuestHandle | undefined> {
    const { image, cpuCount, memoryMb, diskMb } = stock.kind
    const bounded = AbortSignal.any([signal, patientSignal(startMs)])
    const size = { image, cpuCount, memoryMb, diskMb }
    let handle: GuestHandle | undefined
    try {
      await store.add(id)
      handle = await runtime.start({ ...size, sandboxId: id, hostname: 'e2b.local', egress: 'open' }, bounded)
      onUp()
      await prepare(handle, stock.kind, bounded)
      const { memoryBytes } = await runtime.stats(handle, bounded)
      stock.costMb = Math.max(1, Math.ceil(memoryBytes / 2 ** 20))
      return handle
    } catch (error) {
      if (handle !== undefined) await destroy(handle)
      else await unrecord(id)
      if (!signal.aborted)
        log.warn({ templateId: stock.kind.templateId, err: error }, 'no guest could be started ahead')
      return undefined
    }
  }

  /** What its build starts runs when a sandbox claims it; settings of its own come then. */
  async function prepare(handle: GuestHandle, { templateId, defaults }: WarmKind, signal: AbortSignal) {
    if (!hasCommands(defaults)) return
    const guest = guestOf(handle)
    await configureGuest(guest, { id: handle.sandboxId, templateId, defaults }, {}, { defaultUser, signal })
    await runStartCommand(guest, defaults, { signal })
  }

  function guestOf(handle: GuestHandle): Guest {
    return { connect: (signal) => runtime.connect(handle, signal) }
  }

  function keep(spare: Spare): void {
    waiting.set(spare.id, spare)
    spare.stock.spares.add(spare)
  }

  function forget(spare: Spare): Spare {
    waiting.delete(spare.id)
    spare.stock.spares.delete(spare)
    return spare
  }

  async function endAll(spares: readonly Spare[]): Promise<void> {
    await forEachLimit(spares, parallel, end)
  }

  /** Never rejects: what is left of it is known to reconciliation. */
  async function end(spare: Spare): Promise<void> {
    forget(spare)
    spare.stop.abort()
    const handle = await spare.started
    if (handle !== undefined) await destroy(handle)
  }

  async function destroy(handle: GuestHandle): Promise<void> {
    try {
      await runtime.destroy(handle, patientSignal(endMs))
      await unrecord(handle.sandboxId)
    } catch (error) {
      log.warn({ sandboxId: handle.sandboxId, err: error }, 'a guest that waited is left to reconciliation')
    }
  }

  /** Never rejects: a record of what isn't there is removed by reconciliation. */
  async function unrecord(id: string): Promise<void> {
    await store.remove(id).catch((error) => {
      log.warn({ sandboxId: id, err: error }, 'the record of a guest that waited is left to reconciliation')
    })
  }
}
