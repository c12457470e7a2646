import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { testedRuntime } from './scripts/test/runtime.mjs'

// Said in the environment, for the servers that tests start.
testedRuntime()

const conformance = {
  include: ['tests/conformance/**/*.test.ts'],
  testTimeout: 60_000,
  hookTimeout: 180_000,
  fileParallelism: false,
}
const sharedServer = { globalSetup: 'tests/support/shared-server-setup.ts' }
/** What isn't about how a server is found, or about one way only. */
const inHeaderModeOnly = ['cli', 'domain-command', 'frameworks', 'signed-urls', 'stock-templates'].map(
  (name) => `tests/conformance/${name}.test.ts`,
)
/** What has sandboxes of stock templates that have to be built: on a server that reaches package registries. */
const ofStockTemplates = [
  'interpreter',
  'interpreter-input',
  'interpreter-programs',
  'interpreter-results',
  'desktop',
  'mcp',
  'agents',
].map((name) => `tests/conformance/${name}.test.ts`)
const ofStockTemplatesInDomainMode = ['interpreter-older', 'desktop-stream', 'mcp'].map(
  (name) => `tests/conformance/domain/${name}.test.ts`,
)
const inDomainModeOnly = ['tests/conformance/domain/**']
const inDebugModeOnly = ['tests/conformance/debug-mode.test.ts']
/** What debug mode has: one sandbox that outlives every `kill`, and of its ports envd's alone. */
const inDebugMode = ['debug-mode', 'commands', 'files', 'transfer', 'watch'].map(
  (name) => `tests/conformance/${name}.test.ts`,
)

/** From fast to slow. `unit` and most of `fuzz` need nothing but Node and the guest agent's binary. */
export default defineConfig({
  test: {
    // Most files wait for processes, clocks or an engine longer than they compute.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'tests/*.test.ts', 'scripts/**/*.test.mjs'],
          exclude: ['docker', 'native', 'gvisor', 'host'].flatMap((name) => [
            `src/runtimes/${name}/**`,
            `src/**/*.${name}.test.ts`,
          ]),
          // A process for each of the many small files would cost more than most of them.
          isolate: false,
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'docker',
          include: ['src/runtimes/docker/**/*.test.ts', 'src/**/*.docker.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'native',
          include: ['src/runtimes/{native,host}/**/*.test.ts', 'src/**/*.native.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'gvisor',
          include: ['src/runtimes/gvisor/**/*.test.ts', 'src/**/*.gvisor.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'fuzz',
          include: ['tests/fuzz/**/*.test.ts'],
          testTimeout: 60_000 + Number(process.env.E2B_FUZZ_SECONDS ?? 5) * 1000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'model',
          include: ['tests/model/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          ...conformance,
          ...sharedServer,
          name: 'conformance',
          exclude: [...inDomainModeOnly, ...inDebugModeOnly, ...ofStockTemplates],
        },
      },
      {
        test: {
          ...conformance,
          ...sharedServer,
          name: 'conformance-domain',
          exclude: [
            ...inHeaderModeOnly,
            ...inDebugModeOnly,
            ...ofStockTemplates,
            ...ofStockTemplatesInDomainMode,
          ],
        },
      },
      {
        test: {
          ...conformance,
          globalSetup: 'tests/support/stock-server-setup.ts',
          name: 'stock',
          include: ofStockTemplates,
        },
      },
      {
        test: {
          ...conformance,
          globalSetup: 'tests/support/stock-server-setup.ts',
          name: 'stock-domain',
          include: ofStockTemplatesInDomainMode,
        },
      },
      { test: { ...conformance, name: 'conformance-debug', include: inDebugMode } },
      { test: { ...conformance, name: 'soak', include: ['tests/soak/**/*.test.ts'] } },
      { test: { ...conformance, name: 'chaos', include: ['tests/chaos/**/*.test.ts'] } },
      {
        test: {
          ...conformance,
          name: 'security',
          include: ['tests/security/**/*.test.ts'],
          globalSetup: 'tests/security/support/setup.ts',
        },
      },
    ],
  },
})
