/**
 * A web server for the inside of sandboxes: a page, an event stream, a WebSocket that echoes, and who it is. With
 * nothing but Node.js, as that is all there is: `node web-server.cjs <port> <who>`.
 */
const { createHash } = require('node:crypto')
const { createServer } = require('node:http')

const [port, who] = process.argv.slice(2)

const page = `<html><title>inside</title><body><script>
  const found = { who: ${JSON.stringify(who)}, protocol: location.protocol, secure: isSecureContext, events: [] }
  const events = new EventSource('/events')
  events.onmessage = ({ data }) => {
    found.events.push(data)
    if (data === '2') events.close()
    show()
  }
  const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/socket')
  socket.onopen = () => socket.send('from the page')
  socket.onmessage = ({ data }) => {
    found.echo = data
    show()
  }
  function show() {
    if (found.events.length === 3 && found.echo) document.body.textContent = JSON.stringify(found)
  }
</script></body></html>`

const server = createServer((req, res) => {
  if (req.url === '/') return res.writeHead(200, { 'content-type': 'text/html' }).end(page)
  if (req.url !== '/events') return res.end(who)
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  for (let i = 0; i < 3; i++) setTimeout(() => res.write(`data: ${i}\n\n`), 100 * i)
})

server.on('upgrade', (req, socket) => {
  const accept = createHash('sha1')
    .update(`${req.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  let kept = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    kept = Buffer.concat([kept, bytes])
    // Short masked frames, which is all that the tests send (RFC 6455 5.2).
    while (kept.length >= 6 && kept.length >= 6 + (kept[1] & 0x7f)) {
      const length = kept[1] & 0x7f
      const mask = kept.subarray(2, 6)
      const payload = Buffer.from(kept.subarray(6, 6 + length)).map((byte, i) => byte ^ mask[i % 4])
      const isClose = (kept[0] & 0xf) === 8
      kept = kept.subarray(6 + length)
      socket.write(Buffer.concat([Buffer.from([isClose ? 0x88 : 0x81, length]), payload]))
      if (isClose) return socket.end()
    }
  })
})

server.listen(Number(port))
