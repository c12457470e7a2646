/** A machine next door: a name space of its own behind a pair of interfaces, with whatever addresses a test gives it. */
import { execFile, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const ip = (...args: string[]) => execute('ip', args)

/**
 * Answers everything on one port of the addresses in its arguments, over TCP and UDP, and goes on talking on another over
 * TCP; prints the two ports.
 */
const echo = `
const talk = require('node:net').createServer((socket) => socket.on('error', () => {}).pipe(socket))
const tcp = require('node:net').createServer((socket) => socket.on('error', () => {}).end('here'))
tcp.listen(0, '0.0.0.0', async () => {
  const { port } = tcp.address()
  for (const address of process.argv.slice(1)) {
    const udp = require('node:dgram').createSocket('udp4')
    udp.on('message', (_, from) => udp.send('here', from.port, from.address))
    await new Promise((resolve) => udp.bind(port, address, resolve))
  }
  talk.listen(0, '0.0.0.0', () => console.log(port, talk.address().port))
})`

/** Connects from where it runs; prints what it reads or how it fails. */
const visit = `
const socket = require('node:net').connect(Number(process.argv[2]), process.argv[1])
const say = (what) => { console.log(what); process.exit() }
socket.on('connect', () => say('here')).on('error', (error) => say(error.code))
setTimeout(say, 2000, 'silence')`

/** Reachable from this machine by routes to its addresses alone. */
export async function neighbour(addresses: readonly string[]) {
  const id = Math.random().toString(36).slice(2, 8)
  const [space, ours, theirs] = [`e2bt-${id}`, `e2bt-${id}`, `e2bn-${id}`]
  // A pair of addresses of the range for benchmarks, which nothing else here uses.
  const pair = `198.19.${Math.floor(Math.random() * 256)}`
  await ip('netns', 'add', space)
  await ip('link', 'add', ours, 'type', 'veth', 'peer', 'name', theirs, 'netns', space)
  await ip('addr', 'add', `${pair}.1/30`, 'dev', ours)
  await ip('link', 'set', ours, 'up')
  const inside = ['-n', space]
  await ip(...inside, 'addr', 'add', `${pair}.2/30`, 'dev', theirs)
  await ip(...inside, 'link', 'set', theirs, 'up')
  await ip(...inside, 'link', 'set', 'lo', 'up')
  await ip(...inside, 'route', 'add', 'default', 'via', `${pair}.1`)
  for (const address of addresses) {
    await ip(...inside, 'addr', 'add', `${address}/32`, 'dev', 'lo')
    await ip('route', 'add', `${address}/32`, 'via', `${pair}.2`, 'dev', ours)
  }
  const child = spawn('ip', ['netns', 'exec', space, process.execPath, '-e', echo, ...addresses], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const [port = 0, talkPort = 0] = line.split(' ').map(Number)
  return {
    port,
    talkPort,
    /** What becomes of a connection from there. */
    async visit(address: string, port: number): Promise<string> {
      const command = ['netns', 'exec', space, process.execPath, '-e', visit, address, String(port)]
      return (await ip(...command)).stdout.trim()
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      await ip('netns', 'delete', space)
    },
  }
}

/** A server of this machine on all of its addresses, over TCP and UDP. */
export async function hostServer() {
  const tcp = createServer((socket) => void socket.on('error', () => {}).end('here'))
  await once(tcp.listen(0, '0.0.0.0'), 'listening')
  const { port } = tcp.address() as { port: number }
  const udp = createSocket('udp4').on('message', (_, from) => udp.send('here', from.port, from.address))
  await new Promise<void>((resolve) => udp.bind(port, resolve))
  return {
    port,
    [Symbol.dispose]() {
      tcp.close()
      udp.close()
    },
  }
}

/** The first address of this machine that others would use. */
export function hostAddress(): string | undefined {
  const all = Object.entries(networkInterfaces()).filter(([name]) => !/^(br-|docker|e2b|lo)/.test(name))
  return all.flatMap(([, each]) => each ?? []).find(({ family }) => family === 'IPv4')?.address
}

/** A shell command that prints for TCP, UDP and ICMP whether a user inside of a sandbox reaches an address. */
export function probe(address: string, port: number, user: 'root' | 'user' = 'root'): string {
  const code = `
import socket, sys
host, port = '${address}', ${port}
def tcp():
    with socket.create_connection((host, port), 2) as s: return s.recv(4) == b'here'
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2); s.connect((host, port)); s.send(b'?'); return s.recv(4) == b'here'
def icmp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as s:
        s.settimeout(2); s.connect((host, 0)); s.send(bytes([8, 0, 0, 0, 0, 0, 0, 1])); return len(s.recv(64)) > 0
for way in tcp, udp, icmp:
    try: print(way.__name__, way())
    except OSError as error: print(way.__name__, False)
`
  return `echo ${Buffer.from(code).toString('base64')} | base64 -d | sudo -u ${user} python3 -`
}

export const reached = 'tcp True\nudp True\nicmp True\n'
export const unreached = 'tcp False\nudp False\nicmp False\n'
