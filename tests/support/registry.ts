/** Debian's image registry on the loopback, with users or for everybody. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sleep } from '../../src/lib/deadline.ts'

/** The setup has put it there */
const program = join(import.meta.dirname, '../../build/docker-registry')
export const login = { username: 'reader', password: 'let me in' }
export const serviceAccountJson = '{"type":"service_account","private_key":"k"}'
/** bcrypt, as the registry wants it, of these two passwords */
const users = `reader:$2y$05$9z1fWg8sgV.pMlRch1XS3u2pvc9OOKkdt.2n9nUiDgZbzxXGBAdrq
_json_key:$2y$05$utjIl2A9hsbdJSYGENorBehEmrUlC2gQpXrhoUCvdaxkZBXdGy1oi
`

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  host: string
  /** Pushes an image with one file, `/file`, and what the changes say (as of `docker import`). Errors: those of docker. */
  push(name: string, changes?: string[]): Promise<void>
}

export async function startRegistry({ isClosed }: { isClosed: boolean }): Promise<Registry> {
  const folder = await mkdtemp(join(tmpdir(), 'e2b-registry-'))
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const host = `127.0.0.1:${(holder.address() as AddressInfo).port}`
  await new Promise((resolve) => holder.close(resolve))
  const [config, userFile] = [join(folder, 'config.yml'), join(folder, 'users')]
  await writeFile(userFile, users)
  await writeFile(
    config,
    `version: 0.1
storage: { filesystem: { rootdirectory: ${join(folder, 'storage')} } }
http: { addr: "${host}" }
${isClosed ? `auth: { htpasswd: { realm: test, path: ${userFile} } }` : ''}
`,
  )
  const child = spawn(program, ['serve', config], { stdio: 'ignore' })
  // Bounded by the hook's own time.
  while (!(await fetch(`http://${host}/v2/`).catch(() => undefined))) await sleep(20)
  return {
    host,
    async push(name, changes = []) {
      const run = (command: string, ...args: string[]) => promisify(execFile)(command, args)
      const [tar, image] = [join(folder, 'image.tar'), `${host}/${name}`]
      await writeFile(join(folder, 'file'), 'text')
      await run('tar', '-C', folder, '-cf', tar, 'file')
      await run('docker', 'import', ...changes.flatMap((change) => ['--change', change]), tar, image)
      // A configuration of its own: that of the machine's user has no business with it.
      const auth = btoa(`${login.username}:${login.password}`)
      await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [host]: { auth } } }))
      await run('docker', '--config', folder, 'push', '--quiet', image)
      await run('docker', 'rmi', image)
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
      await rm(folder, { recursive: true })
    },
  }
}
