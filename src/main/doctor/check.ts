import type { Check } from '../../cli/actions.ts'

/** What a look found. */
export type Finding = Pick<Check, 'detail'> & { state?: Check['state']; remedy?: string }

/** How long one look may take, in milliseconds. */
export const lookTimeoutMs = 5000

/** Something that isn't well, with what to do about it. */
export class Trouble extends Error {
  readonly remedy: string

  constructor(detail: string, remedy: string) {
    super(detail)
    this.remedy = remedy
  }
}

/** One line of the diagnosis. A look that throws has found something wrong, a `Trouble` with a remedy. */
export async function check(name: string, look: () => Promise<string | Finding>): Promise<Check> {
  try {
    const found = await look()
    return typeof found === 'string' ? { name, state: 'ok', detail: found } : { name, state: 'ok', ...found }
  } catch (error) {
    const remedy = error instanceof Trouble ? { remedy: error.remedy } : {}
    return { name, state: 'fail', detail: (error as Error).message, ...remedy }
  }
}
