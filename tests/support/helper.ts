/** The native runtime's helper of a server, asked by a peer of its own. */
import { join } from 'node:path'
import { connectSocket } from '../../src/lib/connect-socket.ts'
import type { Answer } from '../../src/runtimes/host/answers.ts'
import { createHostConnection, type HostConnection } from '../../src/runtimes/host/host-connection.ts'

/** Longest time for an answer, in milliseconds */
const answerMs = 30_000

/** What it answers; rejects where none listens below `root`. */
export async function askHelper(root: string, op: string, fields: Answer = {}): Promise<Answer> {
  return await withHelper(root, ({ call }) => call(op, fields, AbortSignal.timeout(answerMs)))
}

/** Which process it is; rejects where none listens. */
export async function helloOf(root: string): Promise<{ pid: number }> {
  return await withHelper(root, async (_, { pid }) => ({ pid: Number(pid) }))
}

async function withHelper<T>(
  root: string,
  use: (helper: HostConnection, hello: Answer) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.timeout(answerMs)
  const stream = await connectSocket({ path: join(root, 'host.sock') }, signal)
  const connection = createHostConnection(stream, { onGone() {}, onEnd() {} })
  try {
    return await use(connection, await connection.call('hello', { protocol: 1 }, signal))
  } finally {
    connection.close()
  }
}
