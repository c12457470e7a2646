import type { FastifyInstance } from 'fastify'
import { carryOutEnds } from '../../../control/carry-out-ends.ts'
import { parseLevel } from '../../../control/sandbox-logs.ts'
import { stockBuildStatus } from '../../../control/stock/build-status.ts'
import { patientSignal } from '../../../lib/patience.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { BuildStatusQuery, BuildStockBody, StockBuildBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'
import { presentStockTemplate } from '../../present/stock-template.ts'
import { presentBuildInfo } from '../../present/template.ts'

/** How long a removal waits for sandboxes that have ended to be gone, in ms. */
const removeTimeoutMs = 30_000

interface NameParams {
  Params: { name: string }
}

/** `/admin/stock-templates`, this server's own: the templates that are made by recipes. */
export function addStockTemplates(app: FastifyInstance, { control }: ApiParts): void {
  const { stock } = control

  app.get('/admin/stock-templates', async () => (await stock.list()).map(presentStockTemplate))

  app.delete<NameParams>('/admin/stock-templates/:name', async ({ params }, reply) => {
    const recipe = stock.find(params.name)
    await carryOutEnds(control, recipe.name, patientSignal(removeTimeoutMs))
    await stock.remove(recipe)
    return reply.status(204).send()
  })

  app.post<NameParams & { Body: BuildStockBody | null }>(
    '/admin/stock-templates/:name/builds',
    { schema: { body: schemaRef('BuildStock') } },
    async ({ params, body }): Promise<StockBuildBody> => {
      const build = await stock.build(stock.find(params.name), { force: body?.force === true })
      return { templateID: build.templateId, buildID: build.id, status: build.status }
    },
  )

  app.get<{ Params: { name: string; buildID: string }; Querystring: BuildStatusQuery }>(
    '/admin/stock-templates/:name/builds/:buildID/status',
    { schema: { querystring: schemaRef('BuildStatusQuery') } },
    async ({ params, query }) => {
      const { logsOffset, limit, level } = query
      const { name } = stock.find(params.name)
      const page = { logsOffset, limit, level: parseLevel(level) }
      return presentBuildInfo(await stockBuildStatus(control, name, params.buildID, page))
    },
  )
}
