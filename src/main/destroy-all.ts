import type { ControlContext } from '../control/context.ts'
import { abortable, sleep } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { patientSignal } from '../lib/patience.ts'

/** How long a stop tries to end all sandboxes, and the pause between two tries, in milliseconds. */
const destroyMs = { limit: 30_000, pause: 500 }
/** How long a stop waits for ends that are answered to be carried out, in milliseconds. */
const finishMs = 30_000

/** Resolves when nothing is under way any more; ends that take too long are left to the next start. */
export async function finishEnds({ lifecycle, endings }: ControlContext): Promise<void> {
  const idle = lifecycle.idle().then(endings.idle)
  await abortable(idle, patientSignal(finishMs)).catch(endings.abandon)
  await idle
}

/** Ends all sandboxes, also past an engine that doesn't answer for a moment. Errors: of the last try. */
export async function destroyAll({ store, lifecycle, log }: ControlContext): Promise<void> {
  const signal = patientSignal(destroyMs.limit)
  for (;;) {
    const rows = await store.sandboxes.list({})
    try {
      await forEachLimit(rows, 8, ({ id }) =>
        lifecycle.exclusive(id, async (row) => {
          if (row !== undefined) await lifecycle.end(row, 'kill', 'shutdown', signal)
        }),
      )
      return
    } catch (error) {
      if (signal.aborted) throw error
      log.warn({ err: error }, 'not all sandboxes could be ended yet')
      await sleep(destroyMs.pause, signal).catch(() => {})
    }
  }
}
