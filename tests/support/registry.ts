/** Debian's image registry on the loopback, with users or for everybody. */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { sleep } from '../../src/lib/deadline.ts'

/** The setup has put it there */
const program = join(import.meta.dirname, '../../build/docker-registry')
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const layerMaxBytes = 64 << 20
export const login = { username: 'reader', password: 'let me in' }
export const serviceAccountJson = '{"type":"service_account","private_key":"k"}'
/** bcrypt, as the registry wants it, of these two passwords */
const users = `reader:$2y$05$9z1fWg8sgV.pMlRch1XS3u2pvc9OOKkdt.2n9nUiDgZbzxXGBAdrq
_json_key:$2y$05$utjIl2A9hsbdJSYGENorBehEmrUlC2gQpXrhoUCvdaxkZBXdGy1oi
`

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  host: string
  /**
   * Pushes an image of one layer, for this machine's kind of CPU: what is in the folder, by default one file, `/file`, with
   * `text`. `config`: how it wants to be run, in the words of OCI.
   */
  push(name: string, image?: { folder?: string; config?: Record<string, unknown> }): Promise<void>
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
    async push(name, image = {}) {
      const files = image.folder ?? join(folder, 'files')
      if (image.folder === undefined) {
        await mkdir(files, { recursive: true })
        await writeFile(join(files, 'file'), 'text')
      }
      await pushImage(`http://${host}/v2/${name.split(':')[0]}`, name.split(':')[1]!, {
        layer: await tarOf(files),
        config: image.config ?? {},
      })
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
      await rm(folder, { recursive: true })
    },
  }
}

async function tarOf(folder: string): Promise<Buffer> {
  const { stdout } = await promisify(execFile)(
    'tar',
    ['--owner=0', '--group=0', '-C', folder, '-cf', '-', '.'],
    {
      encoding: 'buffer',
      maxBuffer: layerMaxBytes,
    },
  )
  return stdout
}

/** `url`: of the repository. By the protocol itself: a machine without an engine has nothing else that pushes. */
async function pushImage(
  url: string,
  tag: string,
  { layer, config }: { layer: Buffer; config: Record<string, unknown> },
): Promise<void> {
  const authorization = `Basic ${btoa(`${login.username}:${login.password}`)}`
  const ask = async (method: string, target: string, type: string, body?: Buffer) => {
    const headers = { authorization, 'content-type': type }
    const answer = await fetch(target, { method, headers, ...(body && { body: new Uint8Array(body) }) })
    if (!answer.ok) throw new Error(`${method} ${target}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  const put = async (mediaType: string, body: Buffer) => {
    const digest = digestOf(body)
    const begun = await ask('POST', `${url}/blobs/uploads/`, mediaType)
    const target = new URL(begun.headers.get('location')!, url)
    target.searchParams.set('digest', digest)
    await ask('PUT', target.href, 'application/octet-stream', body)
    return { mediaType, digest, size: body.length }
  }
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const rootfs = { type: 'layers', diff_ids: [digestOf(layer)] }
  const text = JSON.stringify({ architecture, os: 'linux', config, rootfs })
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestType,
    config: await put('application/vnd.oci.image.config.v1+json', Buffer.from(text)),
    layers: [await put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(layer))],
  }
  await ask('PUT', `${url}/manifests/${tag}`, manifestType, Buffer.from(JSON.stringify(manifest)))
}

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
