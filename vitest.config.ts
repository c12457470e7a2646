import { defineConfig } from 'vitest/config'

/** From fast to slow. `unit` and most of `fuzz` need nothing but Node and the guest agent's binary. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'tests/*.test.ts', 'scripts/**/*.test.mjs'],
          exclude: ['src/runtimes/docker/**'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'docker',
          include: ['src/runtimes/docker/**/*.test.ts'],
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
          name: 'conformance',
          include: ['tests/conformance/**/*.test.ts', 'tests/chaos/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
