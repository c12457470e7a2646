/** The program `nft`, which gives the kernel its rules. */
import { spawn } from 'node:child_process'
import { ServerError } from '../domain/error.ts'
import { chainSizes } from './rules.ts'

/** Where it is; `PATH` of users other than root has none of them on some systems. */
const path = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin'
/** Most that is kept of what it says, in characters. */
const outputMax = 16_384
/** Longest time that it may take, in milliseconds; usually some 5. */
const timeoutMs = 10_000

/** Applies rules as one transaction: all or none. Errors: `failed_precondition` with what `nft` says. */
export async function applyRules(text: string, signal?: AbortSignal): Promise<void> {
  await runNft(['-f', '-'], text, signal)
}

/**
 * Chains of a table that the kernel lacks, or has with fewer rules than `text` gives them; all of them where there is no such
 * table. Errors: as `applyRules`.
 */
export async function lackingChains(table: string, text: string, signal?: AbortSignal): Promise<string[]> {
  const there = chainSizes(await listTable(table, signal))
  return [...chainSizes(text)].filter(([name, rules]) => (there.get(name) ?? 0) < rules).map(([name]) => name)
}

/** Without what its sets have; empty where there is no such table. */
async function listTable(table: string, signal?: AbortSignal): Promise<string> {
  try {
    return await runNft(['--terse', 'list', 'table', 'inet', table], '', signal)
  } catch (error) {
    const { cause } = error as ServerError
    if (cause instanceof Error && /no such file or directory/i.test(cause.message)) return ''
    throw error
  }
}

/** What it prints. */
function runNft(args: string[], input: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn('nft', args, {
      env: { PATH: path, LC_ALL: 'C' },
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      ...(signal && { signal }),
    })
    let printed = ''
    let said = ''
    child.stdout.on('data', (text) => (printed = (printed + text).slice(0, outputMax)))
    child.stderr.on('data', (text) => (said = (said + text).slice(0, outputMax)))
    child.stdin.on('error', () => {})
    child.once('error', (error) => {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      if (signal?.aborted) reject(signal.reason)
      else reject(isMissing ? missing(error) : failed(error.message))
    })
    child.once('close', (status) => {
      if (status === 0) resolve(printed)
      else reject(failed(said.trim() || 'nft did not end in time'))
    })
    child.stdin.end(input)
  })
}

function missing(cause: Error): ServerError {
  return new ServerError(
    'failed_precondition',
    'The program nft is missing, by which the server keeps sandboxes out of networks. Install the package nftables.',
    { cause },
  )
}

function failed(said: string): ServerError {
  return new ServerError(
    'failed_precondition',
    'The kernel takes no rules for what sandboxes may reach (nft). See "e2b-server doctor".',
    { cause: new Error(said) },
  )
}
