/** The kinds of guests that are started ahead: how many of each are wanted, which wait, and which kinds are remembered. */
import type { WarmKind } from '../domain/node.ts'
import type { GuestHandle } from '../domain/runtime.ts'
import { hasCommands } from './prepare-guest.ts'
import { createDemand, type Demand } from './warm-demand.ts'

export interface Stock {
  kind: WarmKind
  /** Whether a tag stood for its build when that was last looked at */
  isTagged: boolean
  /** Whether one waits though nobody asks */
  isKept: boolean
  demand: Demand
  spares: Set<Spare>
  /** What one took once it was ready */
  costMb: number
  /** Of those that failed to start, or died waiting, since one was last handed out, and when the next is tried */
  failures: number
  retryAt: number
}

export interface Spare {
  id: string
  stock: Stock
  /** Undefined once it has failed */
  started: Promise<GuestHandle | undefined>
  /** Ends its start and, once that is over, looking after it */
  stop: AbortController
  isReady: boolean
  /** Whether it is of no use although it is ready: what its build starts has ended */
  isDead: boolean
  /** Whether its guest is another's to end */
  isTaken: boolean
}

export interface Stocks {
  /** A kind's, which is made where there is none. The kind that was asked for longest ago is forgotten where there are too many. */
  of(kind: WarmKind, isKept: boolean): Stock
  has(stock: Stock): boolean
  all(): Stock[]
  /** Forgets kinds and returns what was of them. */
  remove(isGone: (kind: WarmKind) => boolean): Stock[]
  /** Kinds whose tags stand for another build since the last look: what was asked of one says nothing any more. Never rejects. */
  superseded(): Promise<Set<WarmKind>>
  /** The kind that lacks most of what it wants, of those that fit into so many MiB; those whose last start failed come last. */
  neediest(now: number, freeMb: number): Stock | undefined
}

/** What one is taken to need before there was one, in MiB. */
const assumedMb = 64
/** Longest wait after failures, in ms. */
const backoffMs = { first: 1_000, longest: 60_000 }
/** Kinds that are remembered. */
const kindsMax = 256

/** `isTagged`: whether a tag stands for a kind's build now. Errors: any, for which nothing is taken to have changed */
export function createStocks(isTagged: (kind: WarmKind) => Promise<boolean>): Stocks {
  /** In the order in which they were last asked for */
  const stocks = new Map<string, Stock>()

  return {
    of(kind, isKept) {
      const key = keyOf(kind)
      const stock = stocks.get(key) ?? newStock(kind, isKept)
      stocks.delete(key)
      const idle = [...stocks].find(([, { isKept, spares }]) => !isKept && spares.size === 0)
      if (stocks.size >= kindsMax && idle !== undefined) stocks.delete(idle[0])
      stocks.set(key, stock)
      return stock
    },
    has: (stock) => stocks.get(keyOf(stock.kind)) === stock,
    all: () => [...stocks.values()],

    remove(isGone) {
      const gone = [...stocks].filter(([, { kind }]) => isGone(kind))
      for (const [key] of gone) stocks.delete(key)
      return gone.map(([, stock]) => stock)
    },

    async superseded() {
      const superseded = new Set<WarmKind>()
      for (const stock of [...stocks.values()].filter(({ spares }) => spares.size > 0)) {
        const wasTagged = stock.isTagged
        stock.isTagged = await isTagged(stock.kind).catch(() => wasTagged)
        if (wasTagged && !stock.isTagged) superseded.add(stock.kind)
      }
      return superseded
    },

    neediest: (now, freeMb) =>
      [...stocks.values()]
        .map((stock) => ({ stock, lacks: stock.demand.wanted(now) - stock.spares.size }))
        .filter(({ stock, lacks }) => lacks > 0 && stock.costMb <= freeMb)
        .toSorted((a, b) => a.stock.retryAt - b.stock.retryAt || b.lacks - a.lacks)[0]?.stock,
  }
}

/**
 * The one to hand out, those that were put back first. One whose start has begun is up before another would be; what its build's
 * commands wait for may never come, so whoever asks doesn't wait for these.
 */
export function nextOf({ kind, spares }: Stock): Spare | undefined {
  const ready = [...spares].find(({ isReady }) => isReady)
  return ready ?? (hasCommands(kind.defaults) ? undefined : [...spares][0])
}

/** Notes that one failed: the next is tried later. */
export function postpone(stock: Stock): void {
  stock.failures++
  const wait = Math.min(backoffMs.first * 2 ** (stock.failures - 1), backoffMs.longest)
  stock.retryAt = performance.now() + wait
}

function newStock(kind: WarmKind, isKept: boolean): Stock {
  const demand = createDemand({ isKept })
  const none = { costMb: assumedMb, failures: 0, retryAt: 0, isTagged: false }
  return { ...none, kind, demand, isKept, spares: new Set() }
}

function keyOf({ image, cpuCount, memoryMb, diskMb, templateId, buildId, defaults }: WarmKind): string {
  return JSON.stringify([image, cpuCount, memoryMb, diskMb, templateId, buildId, defaults])
}
