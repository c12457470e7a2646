/**
 * Makes templates: each step of a build runs in a guest, through the agent, and what it leaves is kept as an image, so
 * that later builds that begin alike go on from there. What a build is made of is recorded before anybody can use it; an
 * image that no row refers to, and a guest that no build here has, are removed by reconciliation.
 */
import { ServerError, toError } from '../domain/error.ts'
import { type TemplateBuild, writeNote } from '../domain/template-build.ts'
import type { BuildSpec, TemplateBuilder } from '../domain/template-builder.ts'
import { createFairSemaphore } from '../lib/fair-semaphore.ts'
import { createKeyedQueue } from '../lib/keyed-queue.ts'
import { linkSignals } from '../lib/linked-signal.ts'
import type { BuilderParts } from './build-context.ts'
import { type BuildLog, createBuildLog } from './build-log.ts'
import { collectGarbage } from './collect-garbage.ts'
import type { Outcome } from './final-phase.ts'
import { createHolds, type Hold } from './holds.ts'
import { createLayerCache } from './layer-cache.ts'
import { createMask } from './mask-secrets.ts'
import { createPrivateImages } from './private-images.ts'
import { runBuild } from './run-build.ts'
import { buildTimeouts, within } from './timeouts.ts'
import { createWorkbench } from './workbench.ts'

export interface BuilderOptions extends BuilderParts {
  /** Builds that run at once; others wait for their turn */
  maxRunning: number
  /** What layers that no build has and uploaded archives may take together, in bytes */
  quotaBytes: number
}

/** Builds of one team that wait or run (e2b-behaviour 4.1), and of all. */
const teamMax = 20
const waitingMax = 1_000
/** When those who find no room may come again, in seconds. */
const busyRetryAfterS = 10
/** How long removing what nobody uses may take, in ms. */
const garbageMs = 10 * 60_000

interface Running {
  teamId: string
  /** Its outcome is recorded; what it used is being given back */
  isOver: boolean
  ending: AbortController
  /** Resolves when nothing of the build is left running. Never rejects */
  done: Promise<void>
}

export function createBuilder(options: BuilderOptions): TemplateBuilder {
  const { maxRunning, quotaBytes, ...parts } = options
  const { runtime, store, clock, log } = parts
  const holds = createHolds()
  const cache = createLayerCache({
    layers: store.layers,
    images: runtime.images,
    runtime: runtime.name,
    clock,
  })
  const mask = createMask(parts.commandEnv)
  const privateImages = createPrivateImages({ images: runtime.images, store: store.privateImages, log })
  const turns = createFairSemaphore({ permits: maxRunning, lineMax: teamMax, waitingMax })
  const running = new Map<string, Running>()
  const closing = new AbortController()
  const cleaner = createKeyedQueue()
  const collect = (signal: AbortSignal, more?: { quotaBytes?: number }) => {
    const garbage = { ...parts, images: runtime.images, cache, isHeld: holds.has, quotaBytes }
    return cleaner.run('', () => collectGarbage(garbage, signal, more), signal)
  }
  /** One that begins later than this is enough for all who ask meanwhile. */
  const collectLater = () => {
    if (closing.signal.aborted || cleaner.waiting('') > 1) return
    const bounded = linkSignals([closing.signal], garbageMs)
    void collect(bounded.signal)
      .catch((error) => log.warn({ err: error }, 'what templates no longer use is left to a later time'))
      .finally(bounded.dispose)
  }

  return {
    async start(build, spec) {
      const { id, teamId: owner } = build
      const teamId = owner ?? ''
      if (closing.signal.aborted)
        throw new ServerError('unavailable', 'The server is stopping.', { retryAfterS: busyRetryAfterS })
      if (running.has(id)) throw new ServerError('conflict', `Build '${id}' is building already.`)
      const ofTeam = [...running.values()].filter((each) => each.teamId === teamId && !each.isOver).length
      if (ofTeam >= teamMax) {
        throw busy(`You have reached the maximum number of concurrent template builds (${teamMax}).`)
      }
      const ending = new AbortController()
      const turn = turns.acquire(teamId, ending.signal)
      if (turn === undefined)
        throw busy('The server has reached the maximum number of concurrent template builds.')
      const isWaiting = turns.waiting() > 0
      turn.catch(() => {})
      let begin = (_begun: boolean) => {}
      const begun = new Promise<boolean>((resolve) => {
        begin = resolve
      })
      const done = begun.then(async (isBegun) => {
        if (isBegun) await run(build, spec, { ending: ending.signal, turn, isWaiting })
        else
          await turn.then(
            (release) => release(),
            () => {},
          )
        running.delete(id)
        collectLater()
      })
      running.set(id, { teamId, isOver: false, ending, done })
      try {
        await store.builds.update(id, { status: 'building', startedAt: clock.now() }, 'waiting')
        begin(true)
      } catch (error) {
        ending.abort(error)
        begin(false)
        throw error
      }
    },

    async cancel(buildId, reason) {
      const entry = running.get(buildId)
      if (entry !== undefined) {
        entry.ending.abort(new ServerError('canceled', reason))
        return entry.done
      }
      for (const status of ['waiting', 'building'] as const)
        await fail(buildId, { message: reason, step: null }, status)
    },

    ended: async (buildId) => running.get(buildId)?.done,

    collectGarbage: collect,

    removePrivateImages: privateImages.sweep,
    backlog: () => ({ waiting: turns.waiting(), running: turns.held() }),

    owns: (name) => holds.has(name) || running.has(name),

    async close() {
      const message = 'The server was stopped while this build ran. Start it again.'
      closing.abort(new ServerError('canceled', message))
      for (const { ending } of running.values()) ending.abort(closing.signal.reason)
      await Promise.all([...running.values()].map(({ done }) => done))
      await cleaner.idle()
    },
  }

  /** A build that is recorded as `building`, up to its end. Never rejects. */
  async function run(
    build: TemplateBuild,
    spec: BuildSpec,
    { ending, turn, isWaiting }: { ending: AbortSignal; turn: Promise<() => void>; isWaiting: boolean },
  ): Promise<void> {
    const { id } = build
    const startedAt = clock.now()
    const buildLog = createBuildLog({ buildId: id, mask, store: store.buildLogs, clock, log })
    let step: string | null = null
    const at = (next: string) => {
      step = next
      buildLog.at(next)
    }
    try {
      if (isWaiting) buildLog.write('Waiting for a turn: other builds are running.')
      const release = await inTime(turn, ending)
      try {
        await complete(build, spec, { ending, at, buildLog, startedAt })
      } finally {
        release()
      }
    } catch (thrown) {
      const error = toError(ending.aborted ? ending.reason : thrown)
      const internal = error.code === 'internal'
      log[internal ? 'error' : 'info'](
        { buildId: id, step, ...(internal && { err: thrown }) },
        'a build has failed',
      )
      buildLog.write(`Build failed: ${error.message}`, 'error')
      await buildLog.flush()
      await fail(id, { message: mask(error.message), step }, 'building')
    }
  }

  /** Runs a build in its turn and records what it has become. */
  async function complete(
    build: TemplateBuild,
    spec: BuildSpec,
    {
      ending,
      at,
      buildLog,
      startedAt,
    }: {
      ending: AbortSignal
      at: (step: string) => void
      buildLog: BuildLog
      startedAt: number
    },
  ): Promise<void> {
    const hold = holds.open()
    const admit = (signal: AbortSignal) =>
      parts.admit(build.teamId ?? '', {
        onWait: (why) => buildLog.write(`Waiting for room on the server: ${why}`, 'warn'),
        signal,
      })
    const bench = createWorkbench({ runtime, hold, size: build, admit, log })
    const lastTasks: (() => Promise<void>)[] = []
    const atEnd = (task: () => Promise<void>) => void lastTasks.push(task)
    try {
      await within(buildTimeouts.buildMs, 'The build', ending, async (signal) => {
        const context = { parts, build, bench, hold, cache, privateImages, log: buildLog, signal, atEnd }
        const outcome = await keep(await runBuild(context, spec, at), spec.keepAs, { hold, signal })
        signal.throwIfAborted()
        const seconds = Math.round((clock.now() - startedAt) / 1000)
        buildLog.write(`Build finished, took ${seconds}s`)
        await buildLog.flush()
        await store.builds.complete(build.id, { ...outcome, at: clock.now(), tags: spec.tags })
      })
      const entry = running.get(build.id)
      if (entry !== undefined) entry.isOver = true
      log.info({ buildId: build.id, templateId: build.templateId }, 'a template is built')
    } finally {
      await bench.close()
      for (const task of lastTasks) await task()
      hold.close()
    }
  }

  /** Gives a build's image the name that it is kept by, where it is to be. Errors: those of `Images.keep`. */
  async function keep(
    outcome: Outcome,
    keepAs: string | null,
    { hold, signal }: { hold: Hold; signal: AbortSignal },
  ): Promise<Outcome> {
    if (keepAs === null) return outcome
    hold.take(keepAs)
    await runtime.images.keep(outcome.image, keepAs, writeNote(outcome.defaults, outcome.image), signal)
    return { ...outcome, image: keepAs }
  }

  /** Records that a build is over; one that has been removed meanwhile, or is over already, stays as it is. */
  async function fail(
    id: string,
    reason: { message: string; step: string | null },
    from: 'waiting' | 'building',
  ): Promise<void> {
    try {
      await store.builds.update(id, { status: 'error', reason, finishedAt: clock.now() }, from)
    } catch (error) {
      if (error instanceof ServerError && (error.code === 'conflict' || error.code === 'not_found')) return
      log.error({ buildId: id, err: error }, "a build's failure is not recorded")
    }
  }
}

function busy(message: string): ServerError {
  return new ServerError('resource_exhausted', message, { retryAfterS: busyRetryAfterS })
}

/** Waits for a turn for as long as builds may. */
async function inTime(turn: Promise<() => void>, ending: AbortSignal): Promise<() => void> {
  const waiting = linkSignals([ending], buildTimeouts.turnMs)
  try {
    return await Promise.race([turn, aborted(waiting.signal)])
  } catch (error) {
    turn.then(
      (release) => release(),
      () => {},
    )
    throw error
  } finally {
    waiting.dispose()
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
