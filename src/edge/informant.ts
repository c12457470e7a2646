import type { IncomingMessage, InformationEvent, ServerResponse } from 'node:http'

/** Informational answers passed on per request: they come before the answer, where nothing slows a sender down. */
const maxInformational = 16

/**
 * Passes informational answers of the server inside on to the client: 100 where the client waits for it, 102, and the
 * links of 103. To be given the client request's `information` events.
 */
export function createInformant(
  req: IncomingMessage,
  res: ServerResponse,
  awaitsContinue: boolean,
): (info: InformationEvent) => void {
  let passedOn = 0
  return (info) => {
    if (req.httpVersion === '1.0' || res.headersSent || res.destroyed || passedOn >= maxInformational) return
    passedOn++
    if (info.statusCode === 100 && awaitsContinue) res.writeContinue()
    if (info.statusCode === 102) res.writeProcessing()
    if (info.statusCode === 103) sendHints(res, info)
  }
}

function sendHints(res: ServerResponse, info: InformationEvent): void {
  const link = info.rawHeaders.filter(
    (_, i) => i % 2 === 1 && info.rawHeaders[i - 1]?.toLowerCase() === 'link',
  )
  try {
    res.writeEarlyHints({ link })
  } catch {
    // Node refuses links of an unusual form. They are hints: the answer says the same again.
  }
}
