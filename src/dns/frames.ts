/** DNS over TCP: each message after its length in two bytes (RFC 1035 4.2.2). */

/** A message as it goes over TCP. */
export function frame(message: Buffer): Buffer {
  const framed = Buffer.alloc(message.length + 2)
  framed.writeUInt16BE(message.length)
  message.copy(framed, 2)
  return framed
}

/** Takes a connection's bytes and calls `onMessage` with each whole message. Keeps no more than one. */
export function createFrames(onMessage: (message: Buffer) => void): (bytes: Buffer) => void {
  let kept = Buffer.alloc(0)
  return (bytes) => {
    kept = Buffer.concat([kept, bytes])
    while (kept.length >= 2) {
      const end = 2 + kept.readUInt16BE()
      if (kept.length < end) return
      const message = kept.subarray(2, end)
      kept = kept.subarray(end)
      onMessage(message)
    }
  }
}
