/** Who webhooks tell: an HTTP server on the loopback that keeps what it gets. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Receiver extends AsyncDisposable {
  readonly url: string
  /** What it answers from now on; 200 at first */
  status: number
  /** Deliveries in the order they came, answered or not */
  readonly got: readonly { headers: IncomingHttpHeaders; body: string }[]
  /** Answers nobody until `letGo`. */
  hold(): void
  letGo(): void
}

export async function startReceiver(): Promise<Receiver> {
  const got: { headers: IncomingHttpHeaders; body: string }[] = []
  let held: (() => void)[] | undefined
  const server = createServer(async (req, res) => {
    const body = Buffer.concat(await req.toArray()).toString()
    got.push({ headers: req.headers, body })
    const answer = () => res.writeHead(receiver.status).end('answered')
    if (held === undefined) answer()
    else held.push(answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    status: 200,
    got,
    hold() {
      held = []
    },
    letGo() {
      const waiting = held ?? []
      held = undefined
      for (const answer of waiting) answer()
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return receiver
}
