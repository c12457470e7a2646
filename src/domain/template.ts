/** What sandboxes are made from. */
export interface Template {
  id: string
  /** Null: visible to every team */
  teamId: string | null
  /** Lower-case names it answers to */
  aliases: string[]
  image: string
  runtime: string
  cpuCount: number
  memoryMb: number
  diskMb: number
  /** Unix milliseconds */
  createdAt: number
}

export interface TemplateStore {
  /** By id or alias, if the team may see it. */
  resolve(nameOrId: string, teamId: string): Promise<Template | undefined>
  /** Those the team may see, its own first, then by id; at most `limit`. */
  list(teamId: string, limit: number): Promise<Template[]>
  /** Creates or replaces by id. */
  put(template: Template): Promise<void>
}
