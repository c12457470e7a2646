#!/usr/bin/env node
/**
 * Makes a folder of what this checkout has built, for `E2B_SERVER_PREBUILT` on other machines of this kind: `prebuilt.mjs <folder>`.
 * What isn't built is left out.
 */
import { createHash } from 'node:crypto'
import { copyFileSync, createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { baseImageName } from '../images/base/build.mjs'
import { dockerEndpoint, saveImage } from './setup/docker-socket.mjs'
import { paths, root } from './setup/paths.mjs'
import { baseKey, sqliteFile, sqliteKey, variable } from './setup/prebuilt.mjs'
import { rustPrograms } from './setup/steps.mjs'

const [, , target] = process.argv
if (target === undefined) {
  console.error('Usage: node scripts/prebuilt.mjs <folder>')
  process.exit(1)
}
const [agent, helper] = rustPrograms()
const image = await baseImageName()
const archive = paths.baseArchiveOf(image)
// The base image is in the engine alone where it was made for that.
if (!existsSync(archive)) await saveImage(dockerEndpoint(), image, archive)
const built = [
  { key: agent.key(), from: (await agent.isDone()) && paths.guestBinary },
  { key: helper.key(), from: (await helper.isDone()) && paths.hostBinary },
  { key: baseKey(image), from: archive },
  ...(existsSync(sqliteFile(root)) ? [{ key: await sqliteKey(root), from: sqliteFile(root) }] : []),
]
mkdirSync(target, { recursive: true })
const files = []
for (const { key, from } of built.filter(({ from }) => from && existsSync(from))) {
  const file = key.replaceAll(/[^\w.-]/g, '-')
  copyFileSync(from, join(target, file))
  const hash = createHash('sha256')
  await pipeline(createReadStream(join(target, file)), hash)
  files.push({ key, file, sha256: hash.digest('hex') })
}
const list = join(target, 'prebuilt.json')
writeFileSync(list, `${JSON.stringify({ files }, null, 2)}\n`)
const sha256 = createHash('sha256').update(readFileSync(list)).digest('hex')
console.log(`${files.length} files in ${target}. On this machine: ${variable}=${resolve(target)}`)
console.log(`From an address where they are published: ${variable}=<address>#sha256=${sha256}`)
