/** The same batches with other values, each made when it is iterated over. */
export async function* mapBatches<From, To>(
  batches: AsyncIterable<Iterable<From>>,
  change: (value: From) => To,
): AsyncGenerator<Iterable<To>, void> {
  for await (const batch of batches) yield mapValues(batch, change)
}

function* mapValues<From, To>(values: Iterable<From>, change: (value: From) => To): Generator<To, void> {
  for (const value of values) yield change(value)
}
