import type { FastifyInstance } from 'fastify'
import { ServerError } from '../../../domain/error.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import { clusterId, type NodeStatusBody } from '../../../wire/team.ts'
import type { ApiParts } from '../../parts.ts'
import { presentNode, presentNodeDetail } from '../../present/node.ts'

interface NodeParams {
  Params: { nodeID: string }
}

/** GET /nodes, GET and POST /nodes/{nodeID}. */
export function addNodes(app: FastifyInstance, { localNode }: ApiParts): void {
  app.get('/nodes', async () => [presentNode(await localNode.describe())])

  app.get<NodeParams>('/nodes/:nodeID', async ({ params }) =>
    presentNodeDetail(await localNode.describe(params.nodeID)),
  )

  app.post<NodeParams & { Body: NodeStatusBody }>(
    '/nodes/:nodeID',
    { schema: { body: schemaRef('NodeStatus') } },
    async ({ params, body }, reply) => {
      if (body.clusterID !== undefined && body.clusterID !== clusterId)
        throw new ServerError('not_found', `There is no cluster with id '${body.clusterID}'.`)
      await localNode.setStatus(params.nodeID, body.status)
      return reply.status(204).send()
    },
  )
}
