import type { FastifyInstance } from 'fastify'
import { findSandbox } from '../../../control/find-sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { presentSandboxDetail } from '../../present/sandbox.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** GET /sandboxes/{sandboxID} */
export function addGetSandbox(app: FastifyInstance, { control, domain }: ApiParts): void {
  app.get<SandboxParams>('/sandboxes/:sandboxID', async (request) => {
    return presentSandboxDetail(await findSandbox(control, sandboxRef(request)), domain())
  })
}
