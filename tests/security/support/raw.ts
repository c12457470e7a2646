/** Bytes on a bare connection, however wrong, and what comes back. */
import { openConnection } from '../../support/connection.ts'
import { attacked } from './attacked.ts'

export interface Outcome {
  /** Status of each answer, without informational ones */
  statuses: number[]
  /** All bytes of the answers, as Latin-1 */
  text: string
  /** Whether the server has ended the connection */
  isClosed: boolean
}

/** Silence after an answer after which none follows, and before one after which none comes, in milliseconds. */
const quietMs = 150
const silenceMs = 2_000

/** Sends bytes (text is Latin-1) and resolves when the connection has ended or nothing more comes. */
export async function sendRaw(bytes: string | Buffer, url = attacked().url): Promise<Outcome> {
  const socket = openConnection(url)
  return await new Promise((resolve) => {
    let text = ''
    const settle = (isClosed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ statuses: statusesOf(text), text, isClosed })
    }
    let timer = setTimeout(settle, silenceMs, false)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      clearTimeout(timer)
      timer = setTimeout(settle, quietMs, false)
    })
    socket.on('error', () => settle(true))
    socket.on('close', () => settle(true))
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  })
}

function statusesOf(text: string): number[] {
  const all = [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((match) => Number(match[1]))
  return all.filter((status) => status >= 200)
}
