/**
 * envd in a process of its own, so that a test can see what it takes. To be forked: it says where it listens, then
 * answers every message with what it takes now, and ends with the channel to its parent. With the argument `impostor` a
 * hostile agent is behind it.
 */
import { once } from 'node:events'
import { startAgent } from './agent.ts'
import { startEnvd } from './envd-server.ts'
import { startImpostor } from './impostor.ts'

export interface EnvdProcessStart {
  url: string
}

export interface EnvdProcessUse {
  /** Resident memory, in bytes */
  rssBytes: number
}

await using agent = process.argv[2] === 'impostor' ? await startImpostor() : await startAgent()
await using server = await startEnvd(agent.guest)
process.on('message', () => report({ rssBytes: process.memoryUsage.rss() }))
report({ url: server.url })
await once(process, 'disconnect')

function report(message: EnvdProcessStart | EnvdProcessUse): void {
  process.send?.(message)
}
