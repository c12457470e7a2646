import { parseArgs } from 'node:util'
import { modes } from './suites.mjs'

/**
 * @typedef {import('./suites.mjs').Suite} Suite
 * @typedef {{ chosen: Suite[], isWhole: boolean, isDeep: boolean }} Choice
 *   `isWhole`, `isDeep`: see `Context` in runners.mjs
 */

/**
 * The suites that `--only` names, else all of them. `--mode` takes those of one mode, or all with nothing left out:
 * without it domain mode has a choice of its tests, and the second runtime too. `--deep` takes all of everything, on both runtimes. Errors: a sentence for what isn't
 * known.
 *
 * @param {string[]} args
 * @param {Suite[]} suites
 * @returns {Choice}
 */
export function choose(args, suites) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      mode: { type: 'string' },
      deep: { type: 'boolean', default: false },
    },
  })
  const { mode, only, deep: isDeep } = values
  const isWhole = isDeep || mode !== undefined
  if (mode !== undefined) requireKnown([mode], [...modes, 'all'])
  const inMode = mode === undefined || mode === 'all' ? suites : suites.filter((suite) => suite.mode === mode)
  const usual = inMode.filter(({ isDeepOnly }) => isDeep || !isDeepOnly)
  if (only === undefined) return { chosen: usual, isWhole, isDeep }
  const names = only.split(',')
  requireKnown(
    names,
    suites.map(({ name }) => name),
  )
  return { chosen: inMode.filter(({ name }) => names.includes(name)), isWhole, isDeep }
}

function requireKnown(names, known) {
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`Unknown: ${unknown.join(', ')}. Known are: ${known.join(', ')}.`)
}
