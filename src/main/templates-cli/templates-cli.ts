/** What "e2b-server templates" does, by the API of the server that runs. */
import { createReadStream, readFileSync, rmSync, statSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import type { BuildRequest, TemplateRow } from '../../cli/actions.ts'
import { readDockerfile } from '../../wire/dockerfile.ts'
import type {
  CreatedTemplateBody,
  StartBuildBody,
  TemplateBody,
  TemplateFilesBody,
  TemplateWithBuildsBody,
} from '../../wire/template.ts'
import { ConfigError } from '../config.ts'
import { packFiles } from '../pack-files.ts'
import type { ApiSocket } from './api-socket.ts'
import { entriesOf, follow } from './follow.ts'
import { buildStock, deleteStock, findMeantStock, findStock, stockLogPath } from './stock-cli.ts'

export async function listTemplates(api: ApiSocket): Promise<TemplateRow[]> {
  const templates = await api.ask<TemplateBody[]>('GET /templates')
  return templates.map((template) => ({
    id: template.templateID,
    names: template.names,
    status: template.buildStatus,
    cpuCount: template.cpuCount,
    memoryMb: template.memoryMB,
    isPublic: template.public,
    createdAt: new Date(template.createdAt),
    spawnCount: template.spawnCount,
  }))
}

export async function deleteTemplate(api: ApiSocket, name: string): Promise<void> {
  const stock = await findMeantStock(api, name)
  if (stock !== undefined) await deleteStock(api, stock)
  else await api.ask(`DELETE /templates/${encodeURIComponent(name)}`)
}

/** What the newest build of a template said. Errors: `ConfigError` where there is none. */
export async function* templateLog(api: ApiSocket, name: string): AsyncGenerator<string> {
  const stock = await findMeantStock(api, name)
  const path = stock === undefined ? await ownLogPath(api, name) : stockLogPath(stock)
  if (path === undefined) throw new ConfigError(`Template "${name}" has no build.`)
  yield* entriesOf(api, path)
}

async function ownLogPath(api: ApiSocket, name: string): Promise<string | undefined> {
  const path = `/templates/${encodeURIComponent(name)}`
  const { templateID, builds } = await api.ask<TemplateWithBuildsBody>(`GET ${path}`)
  const newest = builds[0]?.buildID
  return newest === undefined ? undefined : `/templates/${templateID}/builds/${newest}/status`
}

/** Lines of the build's log as they come, the name last. Errors: `ConfigError` (no Dockerfile, or the build failed). */
export async function* buildTemplate(api: ApiSocket, request: BuildRequest): AsyncGenerator<string> {
  const stock = await findStock(api, request.path)
  if (stock !== undefined) return yield* buildStock(api, stock, request)
  const { dockerfile, context } = locate(request.path)
  const name = request.name ?? basename(context).toLowerCase()
  const specification = readDockerfile(readFileSync(dockerfile, 'utf8'))
  const { templateID, buildID, names } = await api.ask<CreatedTemplateBody>('POST /v3/templates', {
    name,
    cpuCount: request.cpuCount,
    memoryMB: request.memoryMb,
  })
  yield `Template ${templateID}, build ${buildID}`
  const folder = await mkdtemp(join(tmpdir(), 'e2b-server-build-'))
  try {
    yield* uploadFiles(api, { templateID, context, folder, specification })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const ready =
    specification.startCmd == null || request.readyCmd === undefined ? {} : { readyCmd: request.readyCmd }
  const order: StartBuildBody = { ...specification, ...ready, force: request.isFresh }
  await api.ask(`POST /v2/templates/${templateID}/builds/${buildID}`, order)
  yield* follow(api, `/templates/${templateID}/builds/${buildID}/status`)
  yield `${names[0] ?? templateID} is ready`
}

/** Errors: `ConfigError`. */
function locate(path: string): { dockerfile: string; context: string } {
  const given = resolve(path)
  for (const file of [given, join(given, 'e2b.Dockerfile'), join(given, 'Dockerfile')]) {
    if (statSync(file, { throwIfNoEntry: false })?.isFile())
      return { dockerfile: file, context: dirname(file) }
  }
  throw new ConfigError(
    `${path} is neither a Dockerfile nor a folder with one, nor a stock template: "templates list" has those.`,
  )
}

interface Upload {
  templateID: string
  context: string
  folder: string
  specification: ReturnType<typeof readDockerfile>
}

/** Gives the COPY steps their hashes. */
async function* uploadFiles(api: ApiSocket, { templateID, context, folder, specification }: Upload) {
  for (const [index, step] of specification.steps.entries()) {
    const [source] = step.args ?? []
    if (step.type !== 'COPY' || source === undefined) continue
    const { file, sizeBytes, hash } = await packFiles(context, source, join(folder, `${index}.tar`))
    step.filesHash = hash
    const { present, url } = await api.ask<TemplateFilesBody>(`GET /templates/${templateID}/files/${hash}`)
    if (present) continue
    yield `Uploading ${source} (${Math.ceil(sizeBytes / 1024)} KiB)`
    await api.upload(new URL(url).pathname, createReadStream(file), sizeBytes)
  }
}
