/**
 * The server with a switch that kills it, as `kill -9` would, at a step that is counted: before or after the n-th
 * change to the store or effect of the runtime from now on. Its parent arms it by a message and may ask for the names
 * of the steps instead.
 */
import { readConfig } from '../../../src/main/config.ts'
import { startServer } from '../../../src/main/start.ts'
import { runtimeParts, storeParts, withFailpoints } from '../../support/failpoints.ts'

/** What a parent says: `dieAt` a step's number, counted from 0; null: only write their names down. */
export interface Armed {
  dieAt: number | null
}

/** What changes something; looking is no step. */
const steps = /\.(start|pause|resume|snapshot|destroy|create|update|complete|put|remove):/

let armed: Armed | undefined
let passed: string[] = []

const hook = (point: string) => {
  if (armed === undefined || !steps.test(point) || /\.(teams|apiKeys|templates|events)\./.test(point)) return
  if (passed.length === armed.dieAt) process.kill(process.pid, 'SIGKILL')
  passed.push(point)
}

process.on('message', (message: Armed | 'steps') => {
  if (message === 'steps') process.send?.({ steps: passed })
  else {
    armed = message
    passed = []
    process.send?.({ armed: true })
  }
})

const server = await startServer(
  readConfig({
    port: '0',
    debugPort: '0',
    stateDir: process.argv[2],
    logLevel: 'warn',
    destroyOnExit: true,
    // Guests that nobody asked for would be disagreements.
    warmMemoryMb: '0',
  }),
  {
    store: (store) => withFailpoints(store, 'store', hook, storeParts),
    runtime: (runtime) => withFailpoints(runtime, 'runtime', hook, runtimeParts),
    orphanGraceMs: 0,
  },
)
process.once('disconnect', () => process.exit(0))
process.once('SIGTERM', () => void server.stop().then(() => process.exit(0)))
process.send?.({ url: server.url })
