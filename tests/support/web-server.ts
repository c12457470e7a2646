import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sandbox } from './sdks.ts'

const source = readFileSync(join(import.meta.dirname, 'inside/web-server.cjs'), 'utf8')

/** Starts the web server of `inside/` in a sandbox; resolves when it listens. It calls itself `who`. */
export async function startWebServer(sandbox: Sandbox, port: number, who: string): Promise<void> {
  await sandbox.files.write('web-server.cjs', source)
  await sandbox.commands.run(`node web-server.cjs ${port} ${who}`, { background: true, timeoutMs: 0 })
  const isThere = `for i in $(seq 200); do curl -sf -o /dev/null http://127.0.0.1:${port}/who && exit; sleep 0.1; done; exit 1`
  await sandbox.commands.run(isThere)
}
