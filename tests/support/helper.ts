/** The native runtime's helper of a server, asked by a peer of its own. */
import { join } from 'node:path'
import { connectSocket } from '../../src/lib/connect-socket.ts'
import type { Answer } from '../../src/runtimes/native/answers.ts'
import { createHostConnection } from '../../src/runtimes/native/host-connection.ts'

/** Longest time for an answer, in milliseconds */
const answerMs = 30_000

/** What it answers; rejects where none listens below `root`. */
export async function askHelper(root: string, op: string, fields: Answer = {}): Promise<Answer> {
  const signal = AbortSignal.timeout(answerMs)
  const stream = await connectSocket({ path: join(root, 'host.sock') }, signal)
  const connection = createHostConnection(stream, { onGone() {}, onEnd() {} })
  try {
    await connection.call('hello', { protocol: 1 }, signal)
    return await connection.call(op, fields, signal)
  } finally {
    connection.close()
  }
}
