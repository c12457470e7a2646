#!/usr/bin/env node
/**
 * Prepares this machine: `setup.mjs [start | docker | native | gvisor | local | test | bench | cli]`, see scripts/setup/steps.mjs. Needs no package,
 * does only what isn't done, and prints nothing when there is nothing to do. E2B_SETUP_VERBOSE=1 shows every command's
 * output.
 */
import { purposeOf } from './setup/purpose-of.mjs'
import { setUp } from './setup/set-up.mjs'
import { purposes } from './setup/steps.mjs'

const [, , asked = 'start'] = process.argv
const purpose = asked === 'start' ? await purposeOf(['start'], process.env) : asked
if (!purposes.includes(purpose)) {
  console.error(`Unknown purpose "${purpose}". Known are: start, ${purposes.join(', ')}.`)
  process.exit(1)
}
await setUp(purpose)
