/**
 * The REST API of the control plane. Routes do parse → use case → present; what they have in common (validation
 * against spec/openapi.yml, authentication, error bodies) is in `plugins/`.
 */
import fastify, { type FastifyInstance } from 'fastify'
import type { ApiParts } from './parts.ts'
import { addAuthentication, addOperatorAuthentication } from './plugins/authentication.ts'
import { addCors } from './plugins/cors.ts'
import { addErrors, badUrl, bodyMaxBytes } from './plugins/errors.ts'
import { addJsonBodies } from './plugins/json-bodies.ts'
import { addTimings } from './plugins/timings.ts'
import { addValidation } from './plugins/validation.ts'
import { addCreateAccessToken } from './routes/access-tokens/create.ts'
import { addDeleteAccessToken } from './routes/access-tokens/delete.ts'
import { addCreateApiKey } from './routes/api-keys/create.ts'
import { addDeleteApiKey } from './routes/api-keys/delete.ts'
import { addListApiKeys } from './routes/api-keys/list.ts'
import { addRenameApiKey } from './routes/api-keys/rename.ts'
import { addListEvents } from './routes/events/list.ts'
import { addFrontPage } from './routes/front-page.ts'
import { addHealth } from './routes/health.ts'
import { addOperatorApiKeys } from './routes/operator/api-keys.ts'
import { addCancelTeamBuilds } from './routes/operator/cancel-builds.ts'
import { addCollectGarbage } from './routes/operator/collect-garbage.ts'
import { addKillTeamSandboxes } from './routes/operator/kill-sandboxes.ts'
import { addMetrics } from './routes/operator/metrics.ts'
import { addNodes } from './routes/operator/nodes.ts'
import { addRunningCounts } from './routes/operator/running-counts.ts'
import { addStockTemplates } from './routes/operator/stock-templates.ts'
import { addConnectSandbox, addResumeSandbox } from './routes/sandboxes/connect.ts'
import { addCreateSandbox } from './routes/sandboxes/create.ts'
import { addForkSandbox } from './routes/sandboxes/fork.ts'
import { addGetSandbox } from './routes/sandboxes/get.ts'
import { addKillSandbox } from './routes/sandboxes/kill.ts'
import { addListRunning, addListSandboxes } from './routes/sandboxes/list.ts'
import { addSandboxLogs } from './routes/sandboxes/logs.ts'
import { addSandboxMetrics } from './routes/sandboxes/metrics.ts'
import { addPauseSandbox } from './routes/sandboxes/pause.ts'
import { addRefreshSandbox } from './routes/sandboxes/refresh.ts'
import { addSetSandboxTimeout } from './routes/sandboxes/set-timeout.ts'
import { addSnapshotSandbox } from './routes/sandboxes/snapshot.ts'
import { addUpdateNetwork } from './routes/sandboxes/update-network.ts'
import { addListSnapshots } from './routes/snapshots/list.ts'
import { addListTeams } from './routes/teams/list.ts'
import { addTeamMetrics } from './routes/teams/metrics.ts'
import { addBuildStatus } from './routes/templates/build-status.ts'
import { addCreateTemplate } from './routes/templates/create.ts'
import { addDeleteTemplate } from './routes/templates/delete.ts'
import { addDeprecatedTemplates } from './routes/templates/deprecated.ts'
import { addTemplateFiles } from './routes/templates/files.ts'
import { addFindAlias } from './routes/templates/find-alias.ts'
import { addGetTemplate } from './routes/templates/get.ts'
import { addListTemplates } from './routes/templates/list.ts'
import { addStartBuild } from './routes/templates/start-build.ts'
import { addTags } from './routes/templates/tags.ts'
import { addUpdateTemplate } from './routes/templates/update.ts'
import { addUploadFiles } from './routes/templates/upload.ts'
import { addUnimplemented } from './routes/unimplemented.ts'
import { addWebhooks } from './routes/webhooks/webhooks.ts'

/** Built, not listening. */
export function createApi(parts: ApiParts): FastifyInstance {
  const { control, authenticator, serverFactory } = parts
  const app = fastify({
    bodyLimit: bodyMaxBytes,
    frameworkErrors: badUrl,
    // A base address may end in a slash, and clients put their paths behind it.
    routerOptions: { maxParamLength: 512, ignoreDuplicateSlashes: true },
    ...(serverFactory !== undefined && { serverFactory }),
  })
  addErrors(app, control.log)
  addValidation(app)
  addJsonBodies(app)
  addTimings(app, control.telemetry)
  addCors(app)
  addFrontPage(app, parts)
  addHealth(app)
  addMetrics(app, parts)
  addUploadFiles(app, parts)
  addListTeams(app, parts)
  addCreateAccessToken(app)
  addDeleteAccessToken(app)
  app.register(async (scope) => {
    addAuthentication(scope, authenticator)
    addCreateSandbox(scope, parts)
    addListSandboxes(scope, parts)
    addGetSandbox(scope, parts)
    addKillSandbox(scope, parts)
    addSetSandboxTimeout(scope, parts)
    addConnectSandbox(scope, parts)
    addResumeSandbox(scope, parts)
    addListRunning(scope, parts)
    addPauseSandbox(scope, parts)
    addRefreshSandbox(scope, parts)
    addUpdateNetwork(scope, parts)
    addSnapshotSandbox(scope, parts)
    addForkSandbox(scope, parts)
    addListSnapshots(scope, parts)
    addDeleteTemplate(scope, parts)
    addFindAlias(scope, parts)
    addListTemplates(scope, parts)
    addGetTemplate(scope, parts)
    addUpdateTemplate(scope, parts)
    addBuildStatus(scope, parts)
    addTags(scope, parts)
    addCreateTemplate(scope, parts)
    addTemplateFiles(scope, parts)
    addStartBuild(scope, parts)
    addDeprecatedTemplates(scope, parts)
    addSandboxMetrics(scope, parts)
    addSandboxLogs(scope, parts)
    addListEvents(scope, parts)
    addWebhooks(scope, parts)
    addListApiKeys(scope, parts)
    addCreateApiKey(scope, parts)
    addRenameApiKey(scope, parts)
    addDeleteApiKey(scope, parts)
    addTeamMetrics(scope, parts)
    addUnimplemented(scope, ({ path }) => !path.startsWith('/admin/'))
  })
  app.register(async (scope) => {
    addOperatorAuthentication(scope, authenticator)
    addNodes(scope, parts)
    addKillTeamSandboxes(scope, parts)
    addCancelTeamBuilds(scope, parts)
    addCollectGarbage(scope, parts)
    addStockTemplates(scope, parts)
    addRunningCounts(scope, parts)
    addOperatorApiKeys(scope, parts)
    addUnimplemented(scope, ({ path }) => path.startsWith('/admin/'))
  })
  return app
}
