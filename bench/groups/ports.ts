import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
import { docker } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { sandboxContainers } from '../sandbox-containers.ts'

const port = 8000
const seconds = 5
const webServer = `require('node:http').createServer((req, res) => res.end('hello world\\n')).listen(${port}, '0.0.0.0')`

/** A web server in a sandbox through the edge, beside the same one at its container's own address. */
export const benchPorts: Group = async ({ server, report }) => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  await sandbox.files.write('server.cjs', webServer)
  await sandbox.commands.run('node server.cjs', { background: true, timeoutMs: 0 })
  const routing = { 'E2b-Sandbox-Id': sandbox.sandboxId, 'E2b-Sandbox-Port': String(port) }
  await waitForAnswer(server.url, routing)

  const [container = ''] = await sandboxContainers(server)
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
  const direct = `http://${await docker('inspect', '--format', format, container)}:${port}/`
  const ours = await load(`${server.url}/`, routing)
  const baseline = await load(direct)
  const share = ((100 * ours.perSecond) / baseline.perSecond).toFixed(0)
  report(
    'requests to a server in a sandbox | directly at its address',
    `${show(ours)}, ${share} % of direct`,
    show(baseline),
  )
  await sandbox.kill()
}

interface Load {
  perSecond: number
  p50: string
  p99: string
  /** What wrk says of answers that were none; empty: nothing */
  errors: string
}

async function load(url: string, headers: Record<string, string> = {}): Promise<Load> {
  const lines = Object.entries(headers).flatMap((pair) => ['-H', pair.join(': ')])
  const args = ['-t', '1', '-c', '32', '-d', `${seconds}s`, '--latency', ...lines, url]
  const { stdout } = await promisify(execFile)('wrk', args)
  const find = (pattern: RegExp) => pattern.exec(stdout)?.[1] ?? ''
  return {
    perSecond: Number(find(/Requests\/sec:\s+([\d.]+)/)),
    p50: find(/50%\s+(\S+)/),
    p99: find(/99%\s+(\S+)/),
    errors: find(/(Socket errors.*|Non-2xx.*)/),
  }
}

function show({ perSecond, p50, p99, errors }: Load): string {
  return `${perSecond.toFixed(0)}/s  p50 ${p50}  p99 ${p99}${errors === '' ? '' : `  ${errors}`}`
}

async function waitForAnswer(url: string, headers: Record<string, string>): Promise<void> {
  const deadline = Date.now() + 20_000
  while ((await fetch(url, { headers })).status !== 200) {
    if (Date.now() > deadline) throw new Error('The server in the sandbox does not answer.')
  }
}
