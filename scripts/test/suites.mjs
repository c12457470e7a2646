/**
 * Everything that `npm test` runs. The longest come first, as others run beside them; of those, what is quick to fail.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../setup/paths.mjs'
import { inDomainMode } from './domain-mode.mjs'
import { requireAtLeast } from './results.mjs'
import { cargoSuite, check, checkByScript, vitest, vitestAlone } from './runners.mjs'
import { runtimeOf } from './runtime.mjs'

/**
 * @typedef {import('./results.mjs').Results} Results
 * @typedef {import('./runners.mjs').Context} Context
 * @typedef {object} Suite
 * @property {string} name
 * @property {string} title
 * @property {string} [mode] one of `modes`
 * @property {boolean} [isLast] runs when all others, and their failed tests again, are done
 * @property {(context: Context) => Promise<Results>} run
 * @property {(context: Context, test: { file?: string, name: string }) => Promise<boolean>} [again] runs one test alone;
 *   whether it passes
 */

/** How many attempts there must be at least. */
const attemptsMin = 300

/** Vitest's report of the conformance tests */
const conformanceReport = join(root, 'build', 'results', 'conformance.json')

/** @type {Suite[]} */
export const suites = [
  {
    name: 'conformance',
    title: 'Official SDKs against the server, in header mode',
    mode: 'header',
    ...vitestSuite('conformance', () => ({ keepAs: conformanceReport })),
  },
  {
    name: 'stock',
    title: 'Stock templates that are built first, through the SDKs made for them',
    mode: 'header',
    ...vitestSuite('stock', ({ isDeep }) => ({
      env: isDeep ? { E2B_AGENT_TEMPLATES: 'all', E2B_INTERPRETER_DEEP: '1' } : {},
    })),
  },
  {
    name: 'stock-domain',
    title: 'Stock templates in a browser, an MCP client and older SDKs, in domain mode',
    mode: 'domain',
    async run(context) {
      const script = join(root, 'tests', 'support', 'build-stock.ts')
      const names = ['code-interpreter-v1', 'desktop', 'mcp-gateway']
      const env = { ...process.env, E2B_SERVER_RUNTIME: runtimeOf('stock-domain') }
      await promisify(execFile)(process.execPath, ['--import', 'tsx', script, ...names], { cwd: root, env })
      return await inDomainMode((around) => vitest(context, 'stock-domain', around))
    },
    again: (context, test) => inDomainMode((around) => vitestAlone(context, 'stock-domain', test, around)),
  },
  {
    name: 'chaos',
    title: 'Server, engine and machine that die in the middle',
    ...vitestSuite('chaos'),
  },
  { name: 'lint', title: 'Format and lint', run: (context) => check(context, 'biome', ['check', '.']) },
  { name: 'types', title: 'Types', run: (context) => check(context, 'tsc', ['--noEmit']) },
  { name: 'dead-code', title: 'Dead code', run: (context) => check(context, 'knip', []) },
  { name: 'guest', title: 'Guest agent', ...cargoSuite('guest') },
  { name: 'host', title: 'Privileged helper', ...cargoSuite('host') },
  { name: 'unit', title: 'Unit tests', ...vitestSuite('unit') },
  {
    name: 'conformance-domain',
    title: 'Official SDKs against the server, in domain mode with TLS and DNS',
    mode: 'domain',
    run: (context) =>
      inDomainMode((around) =>
        vitest(context, 'conformance-domain', { ...around, files: context.isWhole ? [] : filesAboutNames }),
      ),
    again: (context, test) =>
      inDomainMode((around) => vitestAlone(context, 'conformance-domain', test, around)),
  },
  {
    name: 'docker',
    title: 'Docker runtime',
    ...vitestSuite('docker', ({ isDeep }) => ({ env: isDeep ? { E2B_BASE_IMAGES: 'all' } : {} })),
  },
  { name: 'native', title: 'Native runtime', ...vitestSuite('native') },
  {
    name: 'model',
    title: 'Random schedules with faults against a model',
    ...vitestSuite('model', ({ isDeep }) => ({
      args: ['--maxWorkers=2'],
      env: isDeep ? { E2B_MODEL_SCHEDULES: '10000' } : {},
    })),
  },
  {
    name: 'fuzz',
    title: 'Parsers against random input',
    ...vitestSuite('fuzz', ({ isDeep }) => ({ env: isDeep ? { E2B_FUZZ_SECONDS: '120' } : {} })),
  },
  {
    name: 'soak',
    title: 'Sandboxes that come and go leave nothing',
    ...vitestSuite('soak', ({ isDeep }) => ({ env: isDeep ? { E2B_SOAK_SECONDS: '600' } : {} })),
  },
  {
    name: 'security',
    title: 'Attempts that must not succeed',
    ...vitestSuite('security'),
    run: async (context) => {
      const results = await vitest(context, 'security')
      context.say(`security: ${results.passed} attempts held`)
      return requireAtLeast(results, attemptsMin)
    },
  },
  {
    name: 'conformance-debug',
    title: 'Official SDKs against the server, in debug mode',
    mode: 'debug',
    ...vitestSuite('conformance-debug', () => ({ env: { E2B_TEST_MODE: 'debug' } })),
  },
  {
    name: 'compat',
    title: "Claims of docs/compat.md, from the last run of 'conformance'",
    mode: 'header',
    isLast: true,
    run: (context) =>
      checkByScript(context, join(root, 'tests', 'conformance', 'compat', 'check.ts'), [conformanceReport]),
  },
]

/**
 * What runs in domain mode when no mode is asked for: the rest depends little on how the server is found, and goes
 * through header mode.
 */
const filesAboutNames = ['domain/', 'browser', 'ports', 'http2', 'sandbox', 'examples', 'python'].map(
  (name) => `tests/conformance/${name}`,
)

/** Ways for SDKs to find the server that whole suites are about. */
export const modes = ['header', 'domain', 'debug']

/**
 * A suite that is one project of vitest's.
 *
 * @param {string} project
 * @param {(context: Context) => import('./runners.mjs').VitestOptions} [optionsOf]
 * @returns {Pick<Suite, 'run' | 'again'>}
 */
function vitestSuite(project, optionsOf = () => ({})) {
  return {
    run: (context) => vitest(context, project, optionsOf(context)),
    again: (context, test) => vitestAlone(context, project, test, optionsOf(context)),
  }
}
