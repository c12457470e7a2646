/** All values of something that is iterated over as it comes. */
export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const value of values) all.push(value)
  return all
}

/** All values of batches that are iterated over as they come. */
export async function collectBatches<T>(batches: AsyncIterable<Iterable<T>>): Promise<T[]> {
  const all: T[] = []
  for await (const batch of batches) all.push(...batch)
  return all
}
