import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { openLocalCa } from '../../src/tls/local-ca.ts'
import { startTestServer, type TestServer } from '../../tests/support/server.ts'
import { cores, moveTo } from '../cpus.ts'
import { docker } from '../docker-cli.ts'
import type { BenchContext, Group } from '../group.ts'
import { h2load, type Load } from '../h2load.ts'
import { startNginx } from '../nginx.ts'
import { ms } from '../report.ts'
import { sandboxContainers } from '../sandbox-containers.ts'

const domain = 'e2b.local'
const port = 8000
const requests = 20_000
const concurrency = 64
const rounds = 3
const webServer = `require('node:http').createServer((req, res) => res.end('hello world\\n')).listen(${port}, '0.0.0.0')`

/**
 * One web server in a sandbox through the edge and through nginx: without TLS, and with it in both versions of HTTP.
 * With one worker either has the same core for itself, and the load and what is inside have the others; with two, all
 * share all cores.
 */
export const benchEdge: Group = async (context) => {
  for (const workers of [1, 2]) await benchWorkers(workers, context)
}

async function benchWorkers(workers: number, { report }: Pick<BenchContext, 'report'>): Promise<void> {
  const sdkEnv = { ...process.env }
  // nginx reaches containers at their addresses.
  const flags = ['--domain', domain, '--data-workers', String(workers), '--open-egress']
  await using server = await startTestServer({ flags: [...flags, '--tls'] })
  await using plain = await startTestServer({ flags })
  const measured = workers === 1 ? cores?.measured : undefined
  process.env = sdkEnv
  const authority = await openLocalCa(join(server.stateDir, 'tls', domain), domain)
  const [encrypted, unencrypted] = [await webServerIn(server), await webServerIn(plain)]
  const upstreams = { plain: `${unencrypted.address}:${port}`, tls: `${encrypted.address}:${port}` }
  await using nginx = await startNginx(upstreams, {
    credentials: await authority.issue(Date.now()),
    workers,
    cpus: measured,
  })
  for (const each of [server, plain]) for (const pid of each.dataWorkers()) await moveTo(measured, pid)

  const forms = [
    {
      name: 'plain HTTP/1.1',
      scheme: 'http',
      version: 'HTTP/1.1',
      ours: unencrypted,
      theirs: nginx.plainPort,
    },
    { name: 'TLS, HTTP/1.1', scheme: 'https', version: 'HTTP/1.1', ours: encrypted, theirs: nginx.tlsPort },
    { name: 'TLS, HTTP/2', scheme: 'https', version: 'HTTP/2', ours: encrypted, theirs: nginx.tlsPort },
  ] as const
  for (const { name, scheme, version, ours, theirs } of forms) {
    const measure = (at: number) =>
      h2load({
        url: `${scheme}://${port}-${ours.id}.${domain}/`,
        port: at,
        version,
        concurrency,
        requests,
        cpus: measured && cores?.others,
      })
    await measure(ours.port)
    const [edge, baseline] = await measureByTurns(rounds, [ours.port, theirs], measure)
    const share = (edge.perSecond / baseline.perSecond).toFixed(2)
    const setting = measured === undefined ? 'all cores' : 'same core'
    report(
      `edge, ${name}, ${workers} worker(s) | nginx, as many, ${setting}`,
      `${show(edge)}, ${share} × nginx`,
      show(baseline),
    )
  }
}

/** Both by turns, so that both get what the machine has left; of each the middle one. */
async function measureByTurns(
  count: number,
  ports: [number, number],
  measure: (port: number) => Promise<Load>,
): Promise<[Load, Load]> {
  const loads: [Load[], Load[]] = [[], []]
  for (let round = 0; round < count; round++) {
    loads[0].push(await measure(ports[0]))
    loads[1].push(await measure(ports[1]))
  }
  return [middle(loads[0]), middle(loads[1])]
}

function middle(loads: Load[]): Load {
  return loads.toSorted((a, b) => a.perSecond - b.perSecond)[Math.floor(loads.length / 2)]!
}

function show({ perSecond, p50, p99, failed }: Load): string {
  return `${perSecond.toFixed(0)}/s  p50 ${ms(p50)}  p99 ${ms(p99)}${failed > 0 ? `  ${failed} failed` : ''}`
}

/** Starts the web server in a new sandbox; the result is where it is: by name at the server, and directly. */
async function webServerIn(server: TestServer): Promise<{ id: string; port: number; address: string }> {
  const { port: listening } = JSON.parse(readFileSync(join(server.stateDir, 'server.json'), 'utf8')).reach
  const isEncrypted = server.url.startsWith('https:')
  const headers = { 'x-api-key': server.apiKey, 'content-type': 'application/json' }
  const body = JSON.stringify({ templateID: 'base', timeout: 600 })
  let created: { sandboxID: string }
  if (isEncrypted) {
    const name = `api.${domain}`
    const sent = request({
      ...{ host: '127.0.0.1', port: listening, servername: name, rejectUnauthorized: false },
      ...{ method: 'POST', path: '/sandboxes', headers: { host: name, ...headers } },
    })
    const [answer] = await once(sent.end(body), 'response')
    created = JSON.parse(await text(answer))
  } else {
    const answer = await fetch(`${server.url}/sandboxes`, { method: 'POST', headers, body })
    created = (await answer.json()) as { sandboxID: string }
  }
  const [container = ''] = await sandboxContainers(server)
  if (cores !== undefined) await docker('update', '--cpuset-cpus', cores.others, container)
  await docker('exec', '-d', container, 'node', '-e', webServer)
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
  const address = await docker('inspect', '--format', format, container)
  await waitForAnswer(`http://${address}:${port}/`)
  return { id: created.sandboxID, port: listening, address }
}

async function waitForAnswer(url: string): Promise<void> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const isThere = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isThere) return
    if (Date.now() > deadline) throw new Error('The server in the sandbox does not answer.')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
