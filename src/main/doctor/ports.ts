/** Whether the server can listen where it is to; while it runs, whether it does. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, isIPv6 } from 'node:net'
import type { Check } from '../../cli/actions.ts'
import { connectSocket } from '../../lib/connect-socket.ts'
import type { Config } from '../config.ts'
import { check, lookTimeoutMs, Trouble } from './check.ts'
import type { Running } from './running.ts'

export function lookAtPorts(config: Config, running: Running | undefined): Promise<Check>[] {
  if (running !== undefined) {
    const { host, port, debugPort, dns } = running.reach
    return [
      look('port', host, port),
      ...(debugPort === null ? [] : [look('debug port', '127.0.0.1', debugPort)]),
      ...(dns === null ? [] : [look('DNS port', dns.address, dns.port)]),
    ]
  }
  const { host, port, debugPort, dns } = config
  return [
    isFree('port', host, port, '--port'),
    ...(debugPort === 0 ? [] : [isFree('debug port', '127.0.0.1', debugPort, '--debug-port')]),
    ...(dns === undefined
      ? []
      : [
          isFree('DNS port', dns.address, dns.port, '--dns'),
          isFree('DNS port (UDP)', dns.address, dns.port, '--dns', bindUdp),
        ]),
  ]
}

function look(name: string, host: string, port: number): Promise<Check> {
  return check(name, async () => {
    const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
    try {
      const socket = await connectSocket({ host: address, port }, AbortSignal.timeout(lookTimeoutMs))
      socket.destroy()
    } catch {
      throw new Trouble(
        `${host} port ${port} takes no connections.`,
        'Restart the server; its log has the cause.',
      )
    }
    return `${host} port ${port} takes connections`
  })
}

/** Takes a port and lets go of it. Errors: Node's. */
async function listenTcp(host: string, port: number): Promise<void> {
  const probe = createServer().listen(port, host)
  await once(probe, 'listening')
  probe.close()
}

async function bindUdp(host: string, port: number): Promise<void> {
  const probe = createSocket(isIPv6(host) ? 'udp6' : 'udp4').bind(port, host)
  await once(probe, 'listening')
  probe.close()
}

function isFree(name: string, host: string, port: number, flag: string, take = listenTcp): Promise<Check> {
  return check(name, async () => {
    try {
      await take(host, port)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? ''
      const why: Record<string, string> = {
        EADDRINUSE: 'another program has it',
        EACCES: 'ports below 1024 need root',
        EADDRNOTAVAIL: 'this machine has no such address',
      }
      throw new Trouble(
        `${host} port ${port} can't be listened on: ${why[code] ?? code}.`,
        `Stop that program ("ss -lntup"), or choose another with ${flag}${flag === '--port' ? ' and --host' : ''}.`,
      )
    }
    return `${host} port ${port} is free`
  })
}
