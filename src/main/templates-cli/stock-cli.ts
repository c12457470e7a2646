/** Stock templates, as "e2b-server templates" lists and builds them. */
import type { BuildRequest, StockRow } from '../../cli/actions.ts'
import type { StockBuildBody, StockTemplateBody, TemplateAliasBody } from '../../wire/template.ts'
import { ConfigError } from '../config.ts'
import type { ApiSocket } from './api-socket.ts'
import { follow } from './follow.ts'

const root = '/admin/stock-templates'

export async function listStock(api: ApiSocket): Promise<StockRow[]> {
  const templates = await api.ask<StockTemplateBody[]>(`GET ${root}`)
  return templates.map((template) => ({
    names: template.names,
    state: template.state,
    isCurrent: template.current,
    detail: template.progress ?? template.reason,
    cpuCount: template.cpuCount,
    memoryMb: template.memoryMB,
  }))
}

/** The stock template that is called so. */
export async function findStock(api: ApiSocket, name: string): Promise<StockTemplateBody | undefined> {
  if (!/^[a-z0-9_-]+$/.test(name)) return undefined
  const templates = await api.ask<StockTemplateBody[]>(`GET ${root}`)
  return templates.find(({ names }) => names.includes(name))
}

/** The same unless the team has a template of its own by that name, which is what it means by it. */
export async function findMeantStock(api: ApiSocket, name: string): Promise<StockTemplateBody | undefined> {
  const stock = await findStock(api, name)
  if (stock === undefined) return undefined
  const { templateID } = await api.ask<TemplateAliasBody>(`GET /templates/aliases/${name}`)
  return templateID === stock.templateID ? stock : undefined
}

export async function deleteStock(api: ApiSocket, { templateID }: StockTemplateBody): Promise<void> {
  await api.ask(`DELETE ${root}/${templateID}`)
}

/** Lines of the log as they come, the name last. Errors: `ConfigError` (the build failed, or flags that are the recipe's). */
export async function* buildStock(
  api: ApiSocket,
  { templateID }: StockTemplateBody,
  { isFresh: force, name, cpuCount, memoryMb, readyCmd }: BuildRequest,
): AsyncGenerator<string> {
  if ([name, cpuCount, memoryMb, readyCmd].some((flag) => flag !== undefined)) {
    throw new ConfigError(
      `"${templateID}" is a stock template, whose recipe says all but --no-cache. A folder of that name is ./${templateID}.`,
    )
  }
  const { buildID, status } = await api.ask<StockBuildBody>(`POST ${root}/${templateID}/builds`, { force })
  if (status === 'ready') return yield `${templateID} is built already (--no-cache builds it again)`
  yield `Template ${templateID}, build ${buildID}`
  yield* follow(api, statusPath(templateID, buildID))
  yield `${templateID} is ready`
}

/** Where the log of the newest build is; undefined where there is none. */
export function stockLogPath({ templateID, buildID }: StockTemplateBody): string | undefined {
  return buildID === null ? undefined : statusPath(templateID, buildID)
}

function statusPath(templateId: string, buildId: string): string {
  return `${root}/${templateId}/builds/${buildId}/status`
}
