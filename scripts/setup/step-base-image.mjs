/** The image of the stock template, which `images/base/build.mjs` makes, and its name where the server looks for it. */
import { baseImageName, buildBaseImage } from '../../images/base/build.mjs'
import { installDocker } from './docker-packages.mjs'
import { dockerEndpoint, hasImage } from './docker-socket.mjs'
import { findProgram } from './find-program.mjs'
import { readStamp, writeStamp } from './stamp.mjs'
import { asSetupError } from './step-base-archive.mjs'

/**
 * @param {{ nameFile: string, env?: Record<string, string | undefined> }} options `nameFile`: where the name goes
 * @returns {import('./run-steps.mjs').Step}
 */
export function baseImageStep({ nameFile, env = process.env }) {
  return {
    name: 'base image',
    isDone: async () => {
      const name = await baseImageName()
      return readStamp(nameFile) === name && (await hasImage(dockerEndpoint(env), name))
    },
    run: async (progress) => {
      if (findProgram('docker') === undefined) {
        await installDocker({ missing: "Docker's command line is missing", progress })
      }
      try {
        writeStamp(nameFile, await buildBaseImage({ log: progress }))
      } catch (error) {
        throw asSetupError(error)
      }
    },
  }
}
