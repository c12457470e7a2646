// A terminal: type into a shell, see what it shows, change its size.
import { Sandbox } from 'e2b'

const sandbox = await Sandbox.create()
try {
  const decoder = new TextDecoder()
  let screen = ''
  const terminal = await sandbox.pty.create({
    cols: 80,
    rows: 24,
    onData: (bytes) => {
      screen += decoder.decode(bytes, { stream: true })
    },
  })
  const type = (keys) => sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode(keys))

  await sandbox.pty.resize(terminal.pid, { cols: 120, rows: 40 })
  await type('echo "size: $(stty size)"\n')
  await type('exit\n')
  await terminal.wait()
  console.log(/size: \d+ \d+/.exec(screen)?.[0] ?? `no size in ${JSON.stringify(screen)}`)
} finally {
  await sandbox.kill()
}
