/** The image of the stock template, which `images/base/build.mjs` makes, and its name where the server looks for it. */
import { rmSync } from 'node:fs'
import { baseImageName, buildBaseImage } from '../../images/base/build.mjs'
import { installDocker } from './docker-packages.mjs'
import { dockerEndpoint, hasImage, loadImage } from './docker-socket.mjs'
import { findProgram } from './find-program.mjs'
import { baseKey } from './prebuilt.mjs'
import { readStamp, writeStamp } from './stamp.mjs'
import { asSetupError } from './step-base-archive.mjs'

/**
 * @param {object} options
 * @param {string} options.nameFile where the image's name goes
 * @param {(image: string) => string} options.archiveOf where a ready-made archive of that image is put until the engine has it
 * @param {Record<string, string | undefined>} [options.env]
 * @returns {import('./run-steps.mjs').Step}
 */
export function baseImageStep({ nameFile, archiveOf, env = process.env }) {
  return {
    name: 'base image',
    isDone: async () => {
      const name = await baseImageName()
      return readStamp(nameFile) === name && (await hasImage(dockerEndpoint(env), name))
    },
    takeReady: async (prebuilt) => {
      const image = await baseImageName()
      const endpoint = dockerEndpoint(env)
      const file = `${archiveOf(image)}.${process.pid}`
      try {
        const isTaken =
          (await hasImage(endpoint, image)) ||
          ((await prebuilt.take(baseKey(image), file)) && (await loadImage(endpoint, image, file)))
        if (isTaken) writeStamp(nameFile, image)
        return isTaken
      } finally {
        rmSync(file, { force: true })
      }
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
