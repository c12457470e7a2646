import type { ControlContext } from '../control/context.ts'
import { killSandbox } from '../control/kill-sandbox.ts'
import { sleep } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { patientSignal } from '../lib/patience.ts'

/** How long a stop tries to end all sandboxes, and the pause between two tries, in milliseconds. */
const destroyMs = { limit: 30_000, pause: 500 }

/** Ends all sandboxes, also past an engine that doesn't answer for a moment. Errors: of the last try. */
export async function destroyAll(control: ControlContext): Promise<void> {
  const signal = patientSignal(destroyMs.limit)
  for (;;) {
    const rows = await control.store.sandboxes.list({})
    try {
      await forEachLimit(rows, 8, (row) => killSandbox(control, row, signal, { reason: 'shutdown' }))
      return
    } catch (error) {
      if (signal.aborted) throw error
      control.log.warn({ err: error }, 'not all sandboxes could be ended yet')
      await sleep(destroyMs.pause, signal).catch(() => {})
    }
  }
}
