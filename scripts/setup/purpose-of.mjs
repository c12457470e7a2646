/**
 * What the setup has to prepare for a command line of `e2b-server`: the whole machine for `start`, and for `bench`
 * where that starts servers of its own; only the program itself for the others and for help.
 *
 * @param {string[]} args without node and the script
 * @param {Record<string, string | undefined>} env
 * @returns {string} one of `purposes` in steps.mjs
 */
export function purposeOf(args, env) {
  const asksOnly = args.some((arg) => ['-h', '--help', '-V', '--version'].includes(arg))
  const starts = args[0] === 'start' || (args[0] === 'bench' && !args.some((arg) => /^--url(=|$)/.test(arg)))
  if (asksOnly || !starts) return 'cli'
  return runtimeOf(args, env) === 'process' ? 'local' : 'start'
}

/** The value of `--runtime`, else of its variable. */
function runtimeOf(args, env) {
  for (const [index, arg] of args.entries()) {
    if (arg.startsWith('--runtime=')) return arg.slice('--runtime='.length)
    if (arg === '--runtime') return args[index + 1]
  }
  return env.E2B_SERVER_RUNTIME
}
