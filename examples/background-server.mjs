// A web server inside the sandbox, reached from outside by the name that getHost() gives.
import { get } from 'node:http'
import { text } from 'node:stream/consumers'
import { Sandbox } from 'e2b'

const sandbox = await Sandbox.create()
try {
  await sandbox.files.write('site/index.html', '<h1>Served from a sandbox</h1>\n')
  await sandbox.commands.run('python3 -m http.server 8000 -d site', { background: true, timeoutMs: 0 })

  const host = sandbox.getHost(8000)
  if (process.env.E2B_DOMAIN) {
    const response = await fetch(`https://${host}/`)
    console.log(`${response.status} ${(await response.text()).trim()}`)
  } else {
    // Browsers and curl know that *.localhost is this machine. Node.js asks the system, which may not,
    // so the request goes to the server's address and carries the name as its Host.
    const { hostname, port } = new URL(process.env.E2B_SANDBOX_URL)
    const response = await new Promise((resolve, reject) => {
      get({ hostname, port, path: '/', headers: { host } }, resolve).on('error', reject)
    })
    console.log(`${response.statusCode} ${(await text(response)).trim()}`)
  }
} finally {
  await sandbox.kill()
}
