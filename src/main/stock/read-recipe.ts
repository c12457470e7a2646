/**
 * A folder with a recipe: `template.json`, a `Dockerfile` whose FROM names a stock template, and what that copies
 * (images/README.md).
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { lstat, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ServerError } from '../../domain/error.ts'
import type { StockRecipe } from '../../domain/stock-recipe.ts'
import { parseBuildOrder } from '../../wire/build-order.ts'
import { readDockerfile } from '../../wire/dockerfile.ts'
import { ConfigError } from '../config.ts'
import { listContext } from '../context-files.ts'

const recipeFile = 'template.json'

const command = z.string().min(1).max(100_000)
const schema = z.strictObject({
  names: z
    .array(z.string().regex(/^[a-z0-9_-]{1,64}$/))
    .min(1)
    .max(16),
  from: z.string().optional(),
  cpuCount: z.int().min(1).max(32).default(2),
  memoryMb: z
    .int()
    .min(128)
    .max(2 ** 20)
    .default(1024),
  diskMb: z
    .int()
    .min(512)
    .max(2 ** 24)
    .default(10_240),
  startCommand: command.optional(),
  readyCommand: command.optional(),
})

/** A recipe but for what depends on the one that it is made of. */
export interface RecipeFolder extends Omit<StockRecipe, 'digest' | 'read'> {
  folder: string
  /** Hex, of the folder's files alone */
  filesDigest: string
  /** As `StockRecipe.read`, with `pack` making the archive of a source, whose hash it resolves with */
  read(pack: (source: string) => Promise<string>): ReturnType<StockRecipe['read']>
}

export const isRecipe = (folder: string) => existsSync(join(folder, recipeFile))

/** Errors: `ConfigError`, naming the folder. */
export async function readRecipe(folder: string): Promise<RecipeFolder> {
  const fail = (why: string) => new ConfigError(`The recipe ${folder} can't be used: ${why}`)
  const parsed = schema.safeParse(readJson(join(folder, recipeFile)))
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim())
    throw fail(`${recipeFile}: ${issues.join('; ')}.`)
  }
  const { names, from, startCommand, readyCommand, ...size } = parsed.data
  const dockerfile = join(folder, 'Dockerfile')
  if (!existsSync(dockerfile)) throw fail('it has no Dockerfile.')
  const read = () => readDockerfile(readFileSync(dockerfile, 'utf8'))
  try {
    const { fromImage, startCmd } = read()
    if (from !== undefined && from !== fromImage) throw fail(`its FROM is "${fromImage}", and not "${from}".`)
    if (startCmd != null) throw fail(`a CMD is the "startCommand" of ${recipeFile}.`)
    return {
      ...size,
      folder,
      name: names[0] ?? '',
      aliases: names,
      from: fromImage ?? '',
      filesDigest: await digestOf(folder),
      startCmd: startCommand ?? null,
      readyCmd: readyCommand ?? null,
      async read(pack) {
        const specification = read()
        for (const step of specification.steps) {
          const [source] = step.args ?? []
          if (step.type === 'COPY' && source !== undefined) step.filesHash = await pack(source)
        }
        return parseBuildOrder(specification).steps
      },
    }
  } catch (error) {
    throw error instanceof ServerError ? fail(error.message) : error
  }
}

/** Of names, contents and whether files can be run: the rest of their modes differs from one installation to another. */
async function digestOf(folder: string): Promise<string> {
  const hash = createHash('sha256')
  for (const path of new Set([recipeFile, 'Dockerfile', ...(await listContext(folder))])) {
    const file = join(folder, path)
    const info = await lstat(file)
    const content = info.isSymbolicLink() ? await readlink(file) : info.isFile() ? await readFile(file) : ''
    hash.update(`${path}\0${info.isFile() && (info.mode & 0o100) !== 0}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
