/**
 * node_modules as package-lock.json says, with better-sqlite3's native part built for this Node.js, and a link that
 * lets `npx e2b-server` find this checkout's own program.
 */
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'
import { sqliteFile, sqliteKey } from './prebuilt.mjs'
import { runCommand } from './run-command.mjs'

const installTimeoutMs = 15 * 60_000
const buildTimeoutMs = 20 * 60_000

/** What compiles better-sqlite3, by the Debian package that has it. */
const compilers = { python3: 'python3', make: 'make', 'g++': 'g++' }

/** The packages whose install scripts do something we need. `allowScripts` in package.json says the same to npm. */
const built = ['better-sqlite3', 'esbuild', '@bufbuild/buf']

/**
 * @param {{ root: string, prebuilt: import('./prebuilt.mjs').Prebuilt }} options the checkout; what may be taken instead of compiled
 * @returns {import('./run-steps.mjs').Step}
 */
export function nodeModulesStep({ root, prebuilt }) {
  const link = join(root, 'node_modules', '.bin', 'e2b-server')
  return {
    name: 'node modules',
    isDone: async () => modulesMatchLock(root) && nativeModuleLoads(root) && existsSync(link),
    run: async (progress) => {
      if (!modulesMatchLock(root)) await installModules(root, progress)
      if (!nativeModuleLoads(root)) await prebuilt.take(await sqliteKey(root), sqliteFile(root))
      if (!nativeModuleLoads(root)) await buildNativeModules(root, progress)
      if (!existsSync(link)) symlinkSync('../../scripts/e2b-server.mjs', link)
    },
  }
}

/**
 * Whether node_modules has every package of package-lock.json in its version, by npm's own record of what it
 * installed. Optional packages may be absent: most are for other systems.
 *
 * @param {string} root the checkout
 */
export function modulesMatchLock(root) {
  const wanted = readPackages(join(root, 'package-lock.json'))
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json'))
  if (wanted === undefined || installed === undefined) return false
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || installed[path]?.version === version,
  )
}

function readPackages(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages
  } catch {
    return undefined
  }
}

/** Whether better-sqlite3 works in this very Node.js: it may be built for another version, or not at all. */
function nativeModuleLoads(root) {
  try {
    const Database = createRequire(join(root, 'package.json'))('better-sqlite3')
    new Database(':memory:').close()
    return true
  } catch {
    return false
  }
}

/**
 * `npm install` rather than `npm ci`: that one refuses a lock without other systems' optional packages, as npm writes
 * it wherever a registry lacks them, and starts over each time. Versions are the lock's all the same (what is there
 * afterwards is compared with it), and `--no-save` leaves the lock alone.
 *
 * Install scripts are left out: npm 10 would run all of them, newer ones those that package.json allows, and the
 * optional native parts of dockerode's SSH client are of no use here.
 */
async function installModules(root, progress) {
  progress('installing what package-lock.json names')
  await runCommand(
    'npm',
    ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=http'],
    {
      cwd: root,
      timeoutMs: installTimeoutMs,
      advice: 'Check that npm reaches its registry (`npm ping`), then run this command again.',
      progress,
    },
  )
}

async function buildNativeModules(root, progress) {
  const absent = Object.keys(compilers).filter((program) => findProgram(program) === undefined)
  if (absent.length > 0) {
    await installPackages(
      absent.map((program) => compilers[program]),
      { missing: `better-sqlite3 must be compiled, but ${absent.join(', ')} can't be found`, progress },
    )
  }
  progress('compiling SQLite (a minute or two)')
  await runCommand('npm', ['rebuild', '--foreground-scripts', ...built], {
    cwd: root,
    env: nodeHeaders(),
    timeoutMs: buildTimeoutMs,
    advice:
      'Check that the compiler works (`g++ --version`) and that npm reaches the internet, then try again.',
    progress,
  })
}

/**
 * Where this Node.js keeps its headers, if it came with them: node-gyp then needn't download them. The variable is
 * npm's way of handing a setting to node-gyp.
 */
function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath))
  const header = join(prefix, 'include', 'node', 'node_version.h')
  if (process.env.npm_config_nodedir !== undefined || !existsSync(header)) return {}
  return readFileSync(header, 'utf8').includes(`NODE_MAJOR_VERSION ${process.versions.node.split('.')[0]}`)
    ? { npm_config_nodedir: prefix }
    : {}
}
