/** Runs `task` for every item, at most `limit` at once. Rejects with the first failure after all have settled. */
export async function forEachLimit<T>(
  items: Iterable<T>,
  limit: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const failures: unknown[] = []
  const worker = async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      await task(next.value).catch((failure) => failures.push(failure))
    }
  }
  await Promise.all(Array.from({ length: limit }, worker))
  if (failures.length > 0) throw failures[0]
}
