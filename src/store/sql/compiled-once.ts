import type { Compilable, CompiledQuery, Kysely } from 'kysely'
import type { Tables } from '../schema.ts'

/**
 * A query that every request asks, built and compiled when it is first asked: that takes longer than its answer. `build` may do nothing with
 * its arguments but compare with them.
 */
export function compiledOnce<Args extends string[], Row>(
  db: Kysely<Tables>,
  build: (...args: Args) => Compilable<Row>,
): (...args: Args) => Promise<Row[]> {
  let known: CompiledQuery<Row> | undefined
  /** Of each parameter: which argument it is; -1: the query's own */
  let places: number[] = []
  return async (...args) => {
    if (known === undefined) {
      const markers = args.map((_, index) => `argument ${index}`)
      known = build(...(markers as Args)).compile()
      places = known.parameters.map((parameter) => markers.indexOf(String(parameter)))
    }
    const { parameters } = known
    const given = parameters.map((own, index) => args[places[index] ?? -1] ?? own)
    return (await db.executeQuery<Row>({ ...known, parameters: given })).rows
  }
}
