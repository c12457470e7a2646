#!/usr/bin/env node
/**
 * One MCP server that speaks for several: what E2B's SDKs start in a sandbox when they are given `mcp`.
 *
 *   mcp-gateway --config <json>   installs and starts the servers that the JSON names, as the SDKs write it; ends with 0 once
 *                                 all of them answer at port 50005, else with 1 and the reason
 *   mcp-gateway resume            starts the gateway as it was started last: at a boot from the files that one has left
 *   mcp-gateway pull <name>...    installs servers, for a template
 *
 * GATEWAY_ACCESS_TOKEN is what clients must send; it is kept in /etc/mcp-gateway/.token, for root, as are the servers in
 * plan.json beside it.
 */
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { install } from './install.mjs'
import { planOf, serverOf } from './plan.mjs'

/** The SDKs wait for a minute. */
const startMs = 55_000
const pullMs = 600_000
const configMaxBytes = 1024 * 1024
const folder = '/etc/mcp-gateway'
const logFile = '/var/log/mcp-gateway.log'
const usage = 'Usage: mcp-gateway --config <json> | mcp-gateway resume | mcp-gateway pull <name>...'

const [command, ...args] = process.argv.slice(2)
try {
  if (process.getuid() !== 0) throw new Error('mcp-gateway runs as root.')
  const catalog = JSON.parse(readFileSync(new URL('catalog.json', import.meta.url), 'utf8'))
  if (command === '--config' && args.length === 1) await start(planOf(readConfig(args[0]), catalog))
  else if (command === 'resume' && args.length === 0) await resume()
  else if (command === 'pull' && args.length > 0) {
    const signal = AbortSignal.timeout(pullMs)
    const pull = async (name) => {
      await install(serverOf(name, catalog), signal)
      console.log(`${name} is installed.`)
    }
    await Promise.all([...new Set(args)].map(pull))
  } else throw new Error(usage)
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}

function readConfig(text) {
  if (Buffer.byteLength(text) > configMaxBytes) throw new Error('The configuration is larger than 1 MiB.')
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('The configuration is no JSON.')
  }
}

/** Resolves when all servers answer. What has been started once is started again by `resume`. */
async function start(plan) {
  const signal = AbortSignal.timeout(startMs)
  await Promise.all(plan.map((server) => install(server, signal)))
  const token = process.env.GATEWAY_ACCESS_TOKEN || randomUUID()
  await leaveBehind({ plan, token }, signal)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  keep('.token', token)
  keep('plan.json', JSON.stringify(plan))
}

/** Resolves when the gateway listens: who asks it then waits for its servers. */
async function resume() {
  const plan = JSON.parse(readFileSync(`${folder}/plan.json`, 'utf8'))
  const token = readFileSync(`${folder}/.token`, 'utf8')
  await leaveBehind({ plan, token, isResumed: true }, AbortSignal.timeout(startMs))
}

/** For root alone: tokens, and what the servers are told of accounts. Whole, or as it was. */
function keep(name, text) {
  writeFileSync(`${folder}/${name}.new`, text, { mode: 0o600 })
  renameSync(`${folder}/${name}.new`, `${folder}/${name}`)
}

/** The gateway in a process of its own. Rejects where it isn't up in time. */
async function leaveBehind(order, signal) {
  const log = openSync(logFile, 'a', 0o600)
  const gateway = fork(fileURLToPath(new URL('serve.mjs', import.meta.url)), {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    // The token goes over the channel: servers must not find it in the environment.
    env: { PATH: process.env.PATH, HOME: '/root' },
  })
  gateway.send(order)
  const said = await new Promise((resolve) => {
    const late = () =>
      resolve({ error: `The gateway did not start within a minute. ${logFile} says how far it came.` })
    signal.addEventListener('abort', late)
    gateway.once('message', resolve)
    gateway.once('exit', () => resolve({ error: `The gateway ended. ${logFile} says why.` }))
  })
  gateway.removeAllListeners('exit')
  if (said.error !== undefined) {
    gateway.kill('SIGKILL')
    throw new Error(said.error)
  }
  gateway.disconnect()
  gateway.unref()
}
