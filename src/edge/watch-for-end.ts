import type { Readable } from 'node:stream'

/** Notices that the other side has ended a stream which nobody reads yet. The result stops watching. */
export function watchForEnd(stream: Readable, onEnd: () => void): () => void {
  const look = () => {
    // Data stays for whoever reads later; with none left this is what makes a stream say that it has ended.
    if (stream.readableLength === 0) stream.read(0)
  }
  stream.on('readable', look)
  stream.once('end', onEnd)
  return () => {
    stream.off('readable', look)
    stream.off('end', onEnd)
  }
}
