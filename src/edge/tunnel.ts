/**
 * Upgrades (WebSockets and others): once the server inside has switched protocols, two byte streams joined. Any other
 * answer is relayed as it is and ends the connection. The connection must not go on as HTTP then: its next request
 * may be another client's, when a proxy in front shares connections, and for another sandbox.
 */

import { type Duplex, pipeline } from 'node:stream'
import type { Log } from '../lib/log.ts'
import { startPatience } from '../lib/patience.ts'
import { endAndClose, portFailure } from './answer.ts'
import { cut } from './cut.ts'
import type { Tie } from './exchanges.ts'
import type { Traffic } from './traffic.ts'
import type { UpgradeClient } from './upgrade-client.ts'
import type { ExchangeEvents, Upstream } from './upstream/upstream.ts'
import { watchForEnd } from './watch-for-end.ts'

/** How long a server inside may take to answer an upgrade. */
const handshakeTimeoutMs = 60_000

export interface TunnelOptions {
  client: UpgradeClient
  port: number
  traffic: Traffic
  log: Log
}

/** Serves one upgrade. Never throws: whatever happens ends in a tunnel, an answer or a cut connection. */
export function tunnel(options: TunnelOptions): void {
  const { client, port, traffic, log } = options
  const { req, stream: socket } = client
  const { sandboxId } = traffic
  const dialing = new AbortController()
  let upstream: Upstream | undefined
  let isSettled = false

  const leave = () => {
    isSettled = true
    dialing.abort()
    upstream?.destroy()
  }
  const tie: Tie = {
    connection: socket,
    onClosed() {
      traffic.exchanges.end(tie)
      leave()
    },
    refuse(answer) {
      if (isSettled) return false
      settle()
      leave()
      client.refuse(answer)
      return true
    },
  }
  traffic.exchanges.begin(tie)
  const stopWatching = watchForEnd(socket, () => {
    leave()
    socket.destroy()
  })
  const settle = () => {
    isSettled = true
    patience.stop()
    stopWatching()
  }
  const fail = (error: unknown) => {
    if (isSettled) return
    settle()
    log.debug({ sandboxId, port, err: error }, 'An upgrade into a sandbox got no answer.')
    client.refuse(portFailure(sandboxId, port, error))
    upstream?.destroy()
  }
  const patience = startPatience(handshakeTimeoutMs, () =>
    fail(new DOMException('The handshake took too long', 'TimeoutError')),
  )
  socket.once('close', () => patience.stop())

  const ask = (target: Upstream, question: string) => {
    if (isSettled) return target.destroy()
    upstream = target
    target.begin(client.method, answerEvents(options, target, { settle, fail }))
    target.stream.write(question, 'latin1')
  }
  try {
    const question = client.question(traffic.maskedHost(port))
    const connecting = traffic.connect(req.headers.host ?? '', port, dialing)
    connecting.then((target) => ask(target, question), fail)
  } catch (error) {
    fail(error)
  }
}

function answerEvents(
  { client }: TunnelOptions,
  target: Upstream,
  { settle, fail }: { settle(): void; fail(error: unknown): void },
): ExchangeEvents {
  const { stream: socket, firstBytes } = client
  let hasBegun = false
  const resume = () => target.stream.resume()
  return {
    onInformation() {},
    onUpgrade(answer, firstAnswered) {
      try {
        client.accept(answer)
      } catch (error) {
        target.destroy()
        return fail(error)
      }
      settle()
      const stream = target.detach()
      if (firstAnswered.length > 0) socket.write(firstAnswered)
      if (firstBytes.length > 0) stream.write(firstBytes)
      join(socket, stream)
    },
    onHead(answer) {
      client.begin(answer)
      hasBegun = true
      settle()
    },
    onBody(bytes) {
      if (socket.write(bytes)) return
      target.stream.pause()
      socket.once('drain', resume)
    },
    onPause() {},
    onEnd() {
      target.destroy()
      endAndClose(socket)
    },
    onFailure(error) {
      if (hasBegun) cut(socket)
      else fail(error)
    },
  }
}

/** Joins two streams until both directions have ended; if one breaks, both do. */
function join(socket: Duplex, stream: Duplex): void {
  stream.once('error', () => cut(socket))
  // The outcome is the streams' own: by the time it is known there is nothing left to do.
  const done = () => {}
  pipeline(socket, stream, done)
  pipeline(stream, socket, done)
}
