/**
 * Time limits for what others do, which don't count the time in which this process itself stood still: a busy event loop,
 * or a machine that gave it no CPU. A limit is measured in slices; one that ends late counts as one slice however late it
 * is. When all are used up, what has arrived by then is read first: an answer that lies ready wins.
 */

/** Slices of a limit, so that one standstill takes a sixteenth of it at most. */
const slices = 16

/** Turns of the event loop before a limit counts as passed: one reads what has come, the next what that leads to. */
const lastTurns = 2

export interface Patience {
  /** Ends it. Idempotent. */
  stop(): void
}

export interface PatienceOptions {
  /** Whether it keeps the program from ending; true by default */
  ref?: boolean
}

/** Calls `onOver` after `ms` milliseconds of this process's own time, unless stopped before. */
export function startPatience(
  ms: number,
  onOver: () => void,
  { ref = true }: PatienceOptions = {},
): Patience {
  const sliceMs = ms / slices
  let left = slices
  let turns = lastTurns
  let isStopped = false
  let timer: NodeJS.Timeout | undefined

  const wait = () => {
    timer = setTimeout(onSlice, sliceMs)
    if (!ref) timer.unref()
  }
  const onSlice = () => {
    left--
    if (left > 0) wait()
    else setImmediate(onTurn)
  }
  const onTurn = () => {
    if (isStopped) return
    turns--
    if (turns > 0) setImmediate(onTurn)
    else onOver()
  }
  wait()
  return {
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

/** As `AbortSignal.timeout`, by this process's own time: aborts with a `TimeoutError` after `ms` milliseconds. */
export function patientSignal(ms: number): AbortSignal {
  const controller = new AbortController()
  const onOver = () => controller.abort(new DOMException('The time allowed is over.', 'TimeoutError'))
  startPatience(ms, onOver, { ref: false })
  return controller.signal
}

/** A clock that goes on only while this process does. */
export interface OwnTime {
  /** Milliseconds since its start, without standstills */
  now(): number
  /** Stops it, so that the program may end. */
  stop(): void
}

/** Counts at most two `beatMs` milliseconds for each beat that should come after one. */
export function startOwnTime(beatMs: number): OwnTime {
  let counted = 0
  let last = performance.now()
  const look = () => {
    const now = performance.now()
    counted += Math.min(now - last, 2 * beatMs)
    last = now
    return counted
  }
  const timer = setInterval(look, beatMs).unref()
  return { now: look, stop: () => clearInterval(timer) }
}
