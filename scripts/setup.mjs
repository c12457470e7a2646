#!/usr/bin/env node
/**
 * Prepares this machine: `setup.mjs [start | local | test | bench | cli]`, see scripts/setup/steps.mjs. Needs no package,
 * does only what isn't done, and prints nothing when there is nothing to do. E2B_SETUP_VERBOSE=1 shows every command's
 * output.
 */
import { setUp } from './setup/set-up.mjs'
import { purposes } from './setup/steps.mjs'

const purpose = process.argv[2] ?? 'start'
if (!purposes.includes(purpose)) {
  console.error(`Unknown purpose "${purpose}". Known are: ${purposes.join(', ')}.`)
  process.exit(1)
}
await setUp(purpose)
