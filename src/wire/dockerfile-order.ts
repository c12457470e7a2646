import type { BuildOrder } from '../domain/build-order.ts'
import { ServerError } from '../domain/error.ts'
import { parseBuildOrder } from './build-order.ts'
import { readDockerfile } from './dockerfile.ts'
import type { TemplateBuildRequestBody } from './template.ts'

/**
 * What a build of the first generation is made of: its Dockerfile, without files of the client's folder, which don't come
 * with it. What CMD and ENTRYPOINT say isn't run, as with E2B: `startCmd` is. Errors: `invalid_argument`.
 */
export function parseDockerfileOrder(body: TemplateBuildRequestBody): BuildOrder {
  const { fromImage, steps } = readDockerfile(body.dockerfile)
  const copy = steps.find(({ type }) => type === 'COPY')
  if (copy !== undefined) {
    throw new ServerError(
      'invalid_argument',
      `The Dockerfile copies '${copy.args?.[0]?.slice(0, 64)}', and the files of its folder don't come with this request: ` +
        'use "e2b template create" of @e2b/cli 2.x or Template.build of an SDK from 2.0 on, which upload them.',
    )
  }
  const { startCmd = null, readyCmd = null } = body
  return parseBuildOrder({ ...(fromImage != null && { fromImage }), steps, startCmd, readyCmd })
}
