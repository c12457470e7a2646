/**
 * Answers every request with 200 and `seen`, and remembers the bytes of all of them: `GET /recorded` tells whether a
 * text was among these as the beginning of a request. It reads heads by itself, as loosely as a careless server would:
 * whatever follows a body by its length, or a last chunk, is the next request. `node recorder.cjs <port>`
 */
const { createServer } = require('node:net')

const lines = []

createServer((socket) => {
  socket.on('error', () => {})
  let kept = ''
  socket.on('data', (bytes) => {
    kept += bytes.toString('latin1')
    for (;;) {
      const end = kept.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = kept.slice(0, end)
      const rest = bodyEnd(head, kept.slice(end + 4))
      if (rest === undefined) return
      kept = rest
      const line = head.split('\r\n')[0]
      lines.push(line)
      const asked = line.startsWith('GET /recorded')
      const body = asked ? JSON.stringify(lines) : 'seen'
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
    }
  })
}).listen(Number(process.argv[2]))

/** What follows the body; undefined where that isn't all there yet. */
function bodyEnd(head, after) {
  if (/^transfer-encoding:/im.test(head)) {
    const end = after.indexOf('0\r\n\r\n')
    return end < 0 ? undefined : after.slice(end + 5)
  }
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
  return after.length < length ? undefined : after.slice(length)
}
