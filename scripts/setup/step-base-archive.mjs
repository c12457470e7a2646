/** The image of the stock template as a file, for the runtime that needs no engine: the server takes it in when it first needs it. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { baseImageName, buildBaseArchive } from '../../images/base/build.mjs'
import { dockerEndpoint, saveImage } from './docker-socket.mjs'
import { baseKey } from './prebuilt.mjs'
import { SetupError } from './setup-error.mjs'
import { readStamp, writeStamp } from './stamp.mjs'

/**
 * @param {object} options
 * @param {string} options.nameFile where the image's name goes
 * @param {(image: string) => string} options.archiveOf where the archive of the image of that name goes
 * @param {Record<string, string | undefined>} [options.env]
 */
export function baseArchiveStep({ nameFile, archiveOf, env = process.env }) {
  return {
    name: 'base image',
    isDone: async () => {
      const image = await baseImageName()
      return readStamp(nameFile) === image && existsSync(archiveOf(image))
    },
    takeReady: async (prebuilt) => {
      const image = await baseImageName()
      const isTaken = await prebuilt.take(baseKey(image), archiveOf(image))
      if (isTaken) writeStamp(nameFile, image)
      return isTaken
    },
    run: async (progress) => {
      const image = await baseImageName()
      const file = archiveOf(image)
      try {
        // An engine that has it spares the building of it, but isn't needed.
        if (!existsSync(file) && !(await saveImage(dockerEndpoint(env), image, file)))
          await buildBaseArchive({ file, log: progress })
      } catch (error) {
        throw asSetupError(error)
      }
      writeStamp(nameFile, image)
      removeOthers(file)
    },
  }
}

/** What recipes of before have made, and drafts. */
function removeOthers(file) {
  for (const name of readdirSync(dirname(file))) {
    if (/^base-[0-9a-f]{12}\.tar/.test(name) && name !== basename(file)) rmSync(join(dirname(file), name))
  }
}

/** An error of the recipe, as people read it. */
export function asSetupError(error) {
  if (error instanceof SetupError) return error
  const [message, ...output] = error.message.split('\n')
  return new SetupError(message, {
    output: output.slice(-20),
    advice: 'Run this command again once the cause is gone; it continues where it stopped.',
    cause: error,
  })
}
