import type { FastifyInstance } from 'fastify'
import { findAlias } from '../../../control/resolve-template.ts'
import type { TemplateAliasBody } from '../../../wire/template.ts'
import type { ApiParts } from '../../parts.ts'

/** GET /templates/aliases/{alias}: what a name means; 404 says that it is free (e2b-wire 2.2). */
export function addFindAlias(app: FastifyInstance, { control }: ApiParts): void {
  app.get<{ Params: { alias: string } }>(
    '/templates/aliases/:alias',
    async ({ teamId, params }): Promise<TemplateAliasBody> => {
      const { templateId, isPublic } = await findAlias(control, teamId, params.alias)
      return { templateID: templateId, public: isPublic }
    },
  )
}
