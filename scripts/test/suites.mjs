/**
 * Everything that `npm test` runs. The longest come first, as others run beside them; of those, what is quick to fail.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { paths, root } from '../setup/paths.mjs'
import { runscStep } from '../setup/step-runsc.mjs'
import { inDomainMode } from './domain-mode.mjs'
import { requireAtLeast } from './results.mjs'
import { cargoSuite, check, checkByScript, vitest, vitestAlone } from './runners.mjs'
import { otherRuntimeOf, runtimeOf } from './runtime.mjs'

/**
 * @typedef {import('./results.mjs').Results} Results
 * @typedef {import('./runners.mjs').Context} Context
 * @typedef {object} Suite
 * @property {string} name
 * @property {string} title
 * @property {string} [mode] one of `modes`
 * @property {boolean} [isDeepOnly] runs in deep runs, and where it is named
 * @property {string[]} [needs] steps of the setup that are enough for it; all without
 * @property {string} [aloneWith] what it shares with others, beside which it doesn't run
 * @property {string[]} [after] suites that end before it begins, where they run at all
 * @property {boolean} [isLast] runs when all others, and their failed tests again, are done
 * @property {(context: Context) => Promise<Results>} run
 * @property {(context: Context, test: { file?: string, name: string }) => Promise<boolean>} [again] runs one test alone;
 *   whether it passes
 */

/** How many attempts there must be at least. */
const attemptsMin = 300

/** Vitest's report of the conformance tests */
const conformanceReport = join(root, 'build', 'results', 'conformance.json')

/** Stock templates that suites have sandboxes of, and those of them that domain mode has */
const stockNames = ['code-interpreter-v1', 'desktop', 'mcp-gateway', 'codex']
const stockNamesInDomainMode = stockNames.filter((name) => name !== 'codex')

/** How long, and how many, in deep runs */
const deepSoak = { E2B_SOAK_SECONDS: '600', E2B_SOAK_CYCLES: '10000', E2B_SOAK_CYCLES_BESIDE_KILLS: '500' }

/**
 * What runs in domain mode when no mode is asked for: the rest depends little on how the server is found, and goes
 * through header mode.
 */
const filesAboutNames = ['domain/', 'browser', 'ports', 'http2', 'sandbox', 'examples', 'python'].map(
  (name) => `tests/conformance/${name}`,
)

/**
 * What runs on the other runtime too when no run is deep: what sees most of a runtime, which are starts, pauses, images, files,
 * networks and what programs take their machine for.
 */
const filesAboutRuntimes = [
  ...['egress', 'files', 'lifecycle', 'machine', 'metrics'],
  ...['template-registries', 'templates', 'warm-guests'],
].map((name) => `tests/conformance/${name}`)

/** @type {Suite[]} */
export const suites = [
  // Beside the rest of the setup.
  { name: 'guest', title: 'Guest agent', needs: ['Rust toolchain'], ...cargoSuite('guest') },
  {
    name: 'host',
    title: 'Privileged helper',
    needs: ['Rust toolchain', 'network rules', 'guest agent'],
    ...cargoSuite('host'),
  },
  ...onBoth('stock-images', {
    title: 'Stock templates are built',
    suiteOn: ({ around }) => ({ run: (context) => buildStock(context, stockNames, around) }),
  }),
  ...onBoth('conformance', {
    title: 'Official SDKs against the server, in header mode',
    mode: 'header',
    differing: filesAboutRuntimes,
    suiteOn: ({ around, isFirst }) =>
      vitestSuite('conformance', () => ({ ...around, ...(isFirst && { keepAs: conformanceReport }) })),
  }),
  ...onBoth('stock', {
    title: 'Stock templates that are built first, through the SDKs made for them',
    mode: 'header',
    after: 'stock-images',
    suiteOn: ({ around }) =>
      vitestSuite('stock', ({ isDeep }) => ({
        ...around,
        env: { ...around.env, ...(isDeep && { E2B_AGENT_TEMPLATES: 'all', E2B_INTERPRETER_DEEP: '1' }) },
      })),
  }),
  ...onBoth('chaos', {
    title: 'Server, engine and machine that die in the middle',
    // Those about the engine itself run on Docker wherever the rest does.
    differing: ['crash-matrix', 'host-reboot'].map((name) => `tests/chaos/${name}`),
    suiteOn: ({ around }) => vitestSuite('chaos', () => around),
  }),
  { name: 'lint', title: 'Format and lint', run: (context) => check(context, 'biome', ['check', '.']) },
  { name: 'types', title: 'Types', run: (context) => check(context, 'tsc', ['--noEmit']) },
  { name: 'dead-code', title: 'Dead code', run: (context) => check(context, 'knip', []) },
  { name: 'unit', title: 'Unit tests', ...vitestSuite('unit') },
  ...onBoth('conformance-domain', {
    title: 'Official SDKs against the server, in domain mode with TLS and DNS',
    mode: 'domain',
    aloneWith: 'domain',
    suiteOn: ({ around }) => ({
      run: (context) =>
        inDomainMode((mode) =>
          vitest(context, 'conformance-domain', {
            ...together(mode, around),
            files: context.isWhole ? [] : filesAboutNames,
          }),
        ),
      again: (context, test) =>
        inDomainMode((mode) => vitestAlone(context, 'conformance-domain', test, together(mode, around))),
    }),
  }),
  ...onBoth('stock-domain', {
    title: 'Stock templates in a browser, an MCP client and older SDKs, in domain mode',
    mode: 'domain',
    aloneWith: 'domain',
    after: 'stock-images',
    suiteOn: ({ around }) => ({
      async run(context) {
        // By now they are there, but in a run of this mode alone; in the mode itself nobody reaches registries.
        const built = await buildStock(context, stockNamesInDomainMode, around)
        if (built.failed > 0) return built
        return await inDomainMode((mode) => vitest(context, 'stock-domain', together(mode, around)))
      },
      again: (context, test) =>
        inDomainMode((mode) => vitestAlone(context, 'stock-domain', test, together(mode, around))),
    }),
  }),
  {
    name: 'docker',
    title: 'Docker runtime',
    ...vitestSuite('docker', ({ isDeep }) => ({ env: isDeep ? { E2B_BASE_IMAGES: 'all' } : {} })),
  },
  { name: 'native', title: 'Native runtime', ...vitestSuite('native') },
  {
    name: 'gvisor',
    title: 'gVisor runtime',
    // Its program takes minutes to be built where it isn't there.
    isDeepOnly: true,
    ...vitestSuite('gvisor'),
    run: async (context) => {
      const step = runscStep({ root, binary: paths.runsc })
      if (!(await step.isDone())) await step.run(context.say)
      return vitest(context, 'gvisor')
    },
  },
  {
    name: 'model',
    title: 'Random schedules with faults against a model',
    ...vitestSuite('model', ({ isDeep }) => ({
      args: ['--maxWorkers=2'],
      env: isDeep ? { E2B_MODEL_SCHEDULES: '10000' } : {},
    })),
  },
  {
    name: 'native-model',
    title: 'Random schedules with faults against a model, on native',
    ...vitestSuite('model', ({ isDeep }) => ({
      args: ['--maxWorkers=2'],
      files: ['tests/model/schedules'],
      env: { E2B_MODEL_RUNTIME: 'native', E2B_MODEL_SCHEDULES: isDeep ? '2000' : '100' },
    })),
  },
  {
    name: 'fuzz',
    title: 'Parsers against random input',
    ...vitestSuite('fuzz', ({ isDeep }) => ({ env: isDeep ? { E2B_FUZZ_SECONDS: '120' } : {} })),
  },
  ...onBoth('soak', {
    title: 'Sandboxes that come and go leave nothing',
    suiteOn: ({ around }) =>
      vitestSuite('soak', ({ isDeep }) => ({
        ...around,
        env: { ...around.env, ...(isDeep && deepSoak) },
      })),
  }),
  ...onBoth('security', {
    title: 'Attempts that must not succeed',
    // From inside a sandbox, so from what the runtime makes.
    differing: ['closed', 'container', 'hostile-agent', 'network', 'secrets'].map(
      (name) => `tests/security/${name}`,
    ),
    suiteOn: ({ around }) => ({
      ...vitestSuite('security', () => around),
      run: async (context) => {
        const results = await vitest(context, 'security', around)
        context.say(`security: ${results.passed} attempts held`)
        return around.files?.length ? results : requireAtLeast(results, attemptsMin)
      },
    }),
  }),
  ...onBoth('conformance-debug', {
    title: 'Official SDKs against the server, in debug mode',
    mode: 'debug',
    aloneWith: 'debug',
    suiteOn: ({ around }) =>
      vitestSuite('conformance-debug', () => ({
        ...around,
        // The port is built into the SDKs, so one suite of this mode runs after the other.
        prefix: ['flock', '--no-fork', join(tmpdir(), 'e2b-server-test-debug.lock')],
        env: { ...around.env, E2B_TEST_MODE: 'debug' },
      })),
  }),
  {
    name: 'compat',
    title: "Claims of docs/compat.md, from the last run of 'conformance'",
    mode: 'header',
    isLast: true,
    run: (context) =>
      checkByScript(context, join(root, 'tests', 'conformance', 'compat', 'check.ts'), [conformanceReport]),
  },
]

/** Ways for SDKs to find the server that whole suites are about. */
export const modes = ['header', 'domain', 'debug']

/**
 * @typedef {import('./runners.mjs').VitestOptions} VitestOptions
 * @typedef {object} On
 * @property {VitestOptions} around
 * @property {boolean} isFirst
 */

/**
 * A suite on the runtime that runtime.mjs says, whole, and on the other one as `<name>-on-<runtime>`: in deep runs whole, else
 * the files that are `differing`, if any.
 *
 * @param {string} name
 * @param {Pick<Suite, 'title' | 'mode' | 'aloneWith'> & { after?: string, differing?: string[],
 *   suiteOn: (on: On) => Pick<Suite, 'run' | 'again'> }} what `after`: the suite that comes before it, on either runtime
 * @returns {Suite[]}
 */
function onBoth(name, { title, mode, aloneWith, after, differing = [], suiteOn }) {
  const [first, other] = [runtimeOf(name), otherRuntimeOf(name)]
  const orderOn = (runtime) => ({
    ...(aloneWith !== undefined && { aloneWith }),
    ...(after !== undefined && { after: [nameOn(after, runtime)] }),
  })
  const on = (runtime, more = {}) => ({ env: { E2B_SERVER_RUNTIME: runtime }, ...more })
  const second = (files) => suiteOn({ around: on(other, { files }), isFirst: false })
  return [
    {
      name,
      title: `${title}, on ${first}`,
      mode,
      ...orderOn(first),
      ...suiteOn({ around: on(first), isFirst: true }),
    },
    {
      name: nameOn(name, other),
      title: `${title}, on ${other}`,
      mode,
      ...orderOn(other),
      isDeepOnly: differing.length === 0,
      ...second(differing),
      run: (context) => second(context.isWhole ? [] : differing).run(context),
    },
  ]
}

/** Where they aren't there. */
function buildStock(context, names, around) {
  return checkByScript(context, join(root, 'tests', 'support', 'build-stock.ts'), names, around)
}

/** What a suite is called on a runtime. */
function nameOn(name, runtime) {
  return runtime === runtimeOf(name) ? name : `${name}-on-${runtime}`
}

/** Both at once. */
function together(mode, around) {
  return { ...mode, ...around, env: { ...mode.env, ...around.env } }
}

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
