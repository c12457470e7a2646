import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout's folder, absolute. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** What the setup makes and where. All of it is ignored by git and can be deleted at any time. */
export const paths = {
  nodeModules: join(root, 'node_modules'),
  guestBinary: join(root, 'build', 'e2b-guest'),
  /** The privileged helper of the native runtime */
  hostBinary: join(root, 'build', 'e2b-host'),
  /** gVisor's program, for the runtime of that name */
  runsc: join(root, 'build', 'runsc'),
  /** Programs for images that have no shell or no package manager */
  imageTools: join(root, 'build', 'image-tools.tar'),
  /** The distribution's image registry, for tests */
  registry: join(root, 'build', 'docker-registry'),
  /** E2B's command line of the first generation, for tests */
  olderCli: join(root, 'build', 'older-cli'),
  /** A text file: the name of the base image that this checkout's recipe makes */
  baseImage: join(root, 'build', 'base-image'),
  /** Its archive, for the runtime that needs no engine; `image`: that name */
  baseArchiveOf: (image) => join(root, 'build', `base-${image.split(':').at(-1)}.tar`),
  bundle: join(root, 'dist', 'e2b-server.mjs'),
  stamps: join(root, 'build', 'stamps'),
  /** What fills the environments below */
  uv: join(root, 'build', 'uv'),
  pythonSdks: {
    requirements: join(root, 'tests', 'conformance', 'python', 'requirements'),
    folder: join(root, 'build', 'python'),
  },
  frameworks: {
    name: 'frameworks in Python',
    requirements: join(root, 'tests', 'conformance', 'frameworks', 'requirements'),
    folder: join(root, 'build', 'frameworks'),
    newer: join(root, 'build', 'newer-python'),
    isCompiled: false,
  },
  lock: join(root, 'build', 'setup.lock'),
}
