/**
 * dist/: the server and its data workers in one file each, because Node.js starts that several times faster than their
 * sources.
 */
import { existsSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { SetupError } from './setup-error.mjs'
import { hashFiles, readStamp, writeStamp } from './stamp.mjs'

const sources = ['src', 'spec', 'package-lock.json', 'tsconfig.json', 'scripts/setup/step-bundle.mjs']
const isTest = (path) => /\.(test|suite)\.ts$/.test(path)

/**
 * @param {{ root: string, bundle: string, stamp: string }} options `bundle`: the file to make
 * @returns {import('./run-steps.mjs').Step}
 */
export function bundleStep({ root, bundle, stamp }) {
  const hash = () => hashFiles(root, sources, isTest)
  const entryPoints = [
    { in: 'src/main/main.ts', out: basename(bundle, '.mjs') },
    { in: 'src/main/data-worker.ts', out: 'data-worker' },
  ]
  return {
    name: 'server bundle',
    isDone: async () => existsSync(bundle) && readStamp(stamp) === hash(),
    run: async (progress) => {
      progress('putting the server into one file')
      const before = hash()
      const { build } = await import('esbuild')
      try {
        await build(bundleOptions({ root, entryPoints, outdir: dirname(bundle) }))
      } catch (error) {
        throw new SetupError("The server's sources can't be bundled.", {
          output: error.message.split('\n').slice(0, 20),
          advice: '`npx tsc --noEmit` may say more.',
          cause: error,
        })
      }
      writeStamp(stamp, before)
    },
  }
}

/**
 * What esbuild is asked for.
 *
 * @param {{ root: string, entryPoints: { in: string, out: string }[], outdir: string }} options `outdir`: a folder of the checkout
 */
export function bundleOptions({ root, entryPoints, outdir }) {
  return {
    absWorkingDir: root,
    entryPoints,
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    // The sources are in the checkout: leaving them out of the map keeps loading it cheap.
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'none',
    // Comments and blanks are most of what is bundled, and the program's text stays in memory as long as it runs.
    minifyWhitespace: true,
    logLevel: 'silent',
    external: [...native, ...wanted],
    plugins: [keepRecipes],
    banner: { js: commonJsGlobals },
  }
}

/** Compiled code finds its binary beside itself, so these packages are loaded from node_modules. */
const native = ['better-sqlite3', 'cpu-features', '*.node']

/** Loaded from node_modules too, and only where somebody asks for traces or a benchmark. */
const wanted = [
  '@opentelemetry/sdk-trace',
  '@opentelemetry/exporter-trace-otlp-http',
  '@opentelemetry/resources',
  'e2b',
]

/** Image recipes read the files beside them, so they are loaded from where they are. */
const keepRecipes = {
  name: 'keep-recipes',
  setup(build) {
    build.onResolve({ filter: /\/images\/[\w-]+\/build\.mjs$/ }, ({ path }) => ({
      path: `..${path.slice(path.indexOf('/images/'))}`,
      external: true,
    }))
  },
}

/** What CommonJS packages expect around them, which an ES module doesn't have. */
const commonJsGlobals = `
import { createRequire as __createRequire } from 'node:module'
const require = __createRequire(import.meta.url)
const __filename = import.meta.filename
const __dirname = import.meta.dirname
`.trim()
