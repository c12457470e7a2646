/** How a stock template is made: one that comes with the server, or that its operator has for every team. */
import type { BuildStep } from './template-builder.ts'

export interface StockRecipe {
  /** The template's id, and the first of `aliases` */
  name: string
  /** All that it is called */
  aliases: string[]
  /** The stock template that it is made of */
  from: string
  /** 12 hex digits of all that it is made of, `from` included: another recipe is another digest */
  digest: string
  cpuCount: number
  memoryMb: number
  diskMb: number
  startCmd: string | null
  readyCmd: string | null
  /**
   * Its steps; what its COPY steps name can be opened from then on. Errors: `failed_precondition` for a recipe that can't be
   * read.
   */
  read(): Promise<BuildStep[]>
}

/** Begins the name of each image that has been made by a recipe. */
export function stockImagePrefix({ name, digest }: Pick<StockRecipe, 'name' | 'digest'>): string {
  return `${stockRepository(name)}:${digest}-`
}

/** The name of a template's images, without what is behind the colon. */
export function stockRepository(name: string): string {
  return `e2b-server/${name}`
}
