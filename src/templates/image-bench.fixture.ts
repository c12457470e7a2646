/** Images that were never meant for sandboxes, and how they are made fit. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { docker, patience, server } from '../runtimes/docker/runtime.fixture.ts'
import { guestOf, guestSpec } from '../runtimes/tools.suite.ts'
import { type ImageTools, openImageTools } from './image-tools.ts'
import { createProvision, type ProvisionOptions } from './provision.ts'

const execute = promisify(execFile)
export const toolsFile = join(import.meta.dirname, '../../build/image-tools.tar')
/** How long packages may take to come, in milliseconds */
export const installMs = 10 * 60_000

const makeDebian = `
image=$1
tar=$2
shift 2
docker image inspect "$image" >/dev/null 2>&1 || { mmdebstrap "$@" "$tar" && docker import "$tar" "$image"; }
`

/** A server of its own, whose images go with it; but for those of `debianImage`, which take long to make. */
export async function imageBench() {
  const tools: ImageTools | undefined = await openImageTools(toolsFile)
  if (tools === undefined) throw new Error('The setup could not get the tools for bare images.')
  const one = await server()
  const runtime = one.create()
  const made: string[] = []

  /** Kept from one run to the next, as it takes half a minute to make. */
  async function debianImage(suite: string, packages: string[] = []): Promise<string> {
    const list = createHash('sha256').update(packages.join()).digest('hex').slice(0, 8)
    const image = `e2b-server/test-debian:${suite}-${packages.length > 0 ? list : 'minbase'}`
    if ((await runtime.images.inspect(image, patience())) !== undefined) return image
    const folder = await mkdtemp(join(tmpdir(), 'e2b-debian-'))
    const tar = join(folder, 'root.tar')
    const options = ['--variant=minbase', '--quiet', ...packages.map((name) => `--include=${name}`), suite]
    // Files of tests run side by side: who comes second waits, and finds it made.
    const lock = join(tmpdir(), `e2b-debian-${suite}.lock`)
    await execute('flock', [lock, 'sh', '-c', makeDebian, 'sh', image, tar, ...options])
    await rm(folder, { recursive: true })
    return image
  }

  async function dispose(): Promise<void> {
    await one.dispose()
    for (const image of made) await docker.getImage(image).remove()
  }

  /** An image with nothing but what a tar of this directory has. */
  async function imageOf(name: string, folder: string): Promise<string> {
    const image = `e2b-server/test-${name}-${made.length}:${one.instanceId}`
    const tar = join(folder, '..', `${one.instanceId}-${name}.tar`)
    await execute('tar', ['-C', folder, '-cf', tar, '.'])
    await execute('docker', ['import', tar, image])
    await rm(tar)
    made.push(image)
    return image
  }

  /** An image with one file that is no text, or another thing than what runs here. */
  async function imageOfFile(name: string, path: string, content: Uint8Array): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'e2b-image-'))
    const file = join(root, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content, { mode: 0o755 })
    const image = await imageOf(name, root)
    await rm(root, { recursive: true })
    return image
  }

  /** An image with nothing but a program that needs nothing. */
  async function onlyProgram(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'e2b-program-'))
    const source = join(folder, 'program.c')
    await writeFile(source, '#include <stdio.h>\nint main(void) { return puts("it runs") < 0; }\n')
    await execute('cc', ['-static', '-o', join(folder, 'program'), source])
    const program = await readFile(join(folder, 'program'))
    await rm(folder, { recursive: true })
    return imageOfFile('scratch', 'program', program)
  }

  async function provision(image: string, options: ProvisionOptions = {}) {
    const handle = await runtime.start(guestSpec(image, { memoryMb: 512 }), patience())
    const guest = guestOf(runtime, handle)
    const lines: string[] = []
    const look = () =>
      createProvision(options).run(guest, {
        signal: AbortSignal.timeout(installMs),
        onLine: (_, line) => void lines.push(line),
      })
    return { handle, guest, lines, look, end: () => runtime.destroy(handle, patience()) }
  }

  return { runtime, tools, debianImage, imageOfFile, onlyProgram, provision, dispose }
}
