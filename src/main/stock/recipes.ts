/** The recipes of all stock templates: those that come with the server, and those of its operator's folder. */
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { ServerError } from '../../domain/error.ts'
import type { StockRecipe } from '../../domain/stock-recipe.ts'
import { ConfigError } from '../config.ts'
import { packFiles } from '../pack-files.ts'
import { isRecipe, type RecipeFolder, readRecipe } from './read-recipe.ts'

/** Changes whenever the same recipe becomes another image. */
const version = 1
/** Of what recipes copy, whatever the installation's files have */
const mode = 'u=rwX,go=rX'

export interface StockRecipes {
  recipes: StockRecipe[]
  /** The archive of a COPY step of one that was read. Errors: `not_found`. */
  openFile(filesHash: string): Promise<Readable>
}

/** `base`: what recipes begin with, `identity` being another for another image. Errors: `ConfigError`, naming the folder of a recipe that can't be used. */
export async function readRecipes(
  folders: readonly string[],
  base: { name: string; identity: string },
): Promise<StockRecipes> {
  const found: RecipeFolder[] = []
  for (const folder of folders.flatMap(subfolders)) if (isRecipe(folder)) found.push(await readRecipe(folder))
  const byName = new Map(found.map((recipe) => [recipe.name, recipe]))
  checkNames(found, base.name)
  /** What its COPY steps mean, by their hashes */
  const sources = new Map<string, { folder: string; source: string }>()

  /** `above`: recipes that are made of this one */
  const digestOf = (recipe: RecipeFolder, above: readonly string[] = []): string => {
    const from = byName.get(recipe.from)
    if (above.includes(recipe.name)) throw new ConfigError(`The recipe ${recipe.folder} is made of itself.`)
    if (from === undefined && recipe.from !== base.name) {
      throw new ConfigError(
        `The recipe ${recipe.folder} can't be used: its FROM is "${recipe.from}", and has to be the first name of a stock template: ` +
          `${[base.name, ...byName.keys()].join(', ')}.`,
      )
    }
    const below = from === undefined ? base.identity : digestOf(from, [...above, recipe.name])
    return createHash('sha256')
      .update(`${version}\0${below}\0${recipe.filesDigest}`)
      .digest('hex')
      .slice(0, 12)
  }

  return {
    recipes: found.map((recipe) => {
      const { folder, filesDigest: _, read, ...rest } = recipe
      const pack = async (source: string) => {
        const { hash } = await packed(folder, source, async (archive) => archive)
        sources.set(hash, { folder, source })
        return hash
      }
      return { ...rest, digest: digestOf(recipe), read: () => read(pack).catch(asServerError) }
    }),
    openFile: async (filesHash) => {
      const from = sources.get(filesHash)
      if (from === undefined)
        throw new ServerError('not_found', 'The files of this step are gone: build again.')
      return packed(from.folder, from.source, async ({ file, hash }) => {
        if (hash !== filesHash) {
          throw new ServerError(
            'failed_precondition',
            'The files of this step have changed since the build began.',
          )
        }
        return (await open(file, 'r')).createReadStream()
      })
    },
  }
}

function asServerError(error: unknown): never {
  if (!(error instanceof ConfigError)) throw error
  throw new ServerError('failed_precondition', error.message, { cause: error })
}

/** Calls `use` with an archive that is gone afterwards but for what has opened it. */
async function packed<T>(
  folder: string,
  source: string,
  use: (archive: Awaited<ReturnType<typeof packFiles>>) => Promise<T>,
): Promise<T> {
  const work = await mkdtemp(join(tmpdir(), 'e2b-server-stock-'))
  try {
    return await use(await packFiles(folder, source, join(work, 'files.tar'), { mode }))
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Errors: `ConfigError` for a folder that can't be read. */
function subfolders(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(folder, name))
      .toSorted()
  } catch (error) {
    throw new ConfigError(`There are no recipes of templates in ${folder}: ${(error as Error).message}.`)
  }
}

/** Errors: `ConfigError` where two have one name. */
function checkNames(recipes: readonly RecipeFolder[], baseName: string): void {
  const owners = new Map([[baseName, 'the server itself']])
  for (const { folder, aliases } of recipes) {
    for (const alias of aliases) {
      const other = owners.get(alias)
      if (other !== undefined)
        throw new ConfigError(`The recipe ${folder} has the name "${alias}", as ${other}.`)
      owners.set(alias, folder)
    }
  }
}
