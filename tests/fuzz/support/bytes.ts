import fc from 'fast-check'

/** Any bytes. */
export function bytes(maxLength: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
}

/** A change of some bytes: at `at`, a share of their length, `drop` of them are replaced by `insert`. */
export interface Mutation {
  at: number
  drop: number
  insert: Buffer
}

export const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  drop: fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 5000 })),
  insert: fc.oneof(
    bytes(8),
    fc.constantFrom('\r\n', '\r\n\r\n', '--', ': ', '\0').map((text) => Buffer.from(text)),
  ),
})

/** The bytes with each change made to what the ones before left. */
export function mutate(original: Buffer, mutations: Mutation[]): Buffer {
  return mutations.reduce((changed, { at, drop, insert }) => {
    const from = Math.floor(at * changed.length)
    return Buffer.concat([changed.subarray(0, from), insert, changed.subarray(from + drop)])
  }, original)
}

/** The bytes in pieces; the cuts are shares of their length. */
export function split(whole: Buffer, cuts: number[]): Buffer[] {
  const places = [
    0,
    ...cuts.map((share) => Math.floor(share * whole.length)).sort((a, b) => a - b),
    whole.length,
  ]
  return places.slice(1).map((end, i) => whole.subarray(places[i], end))
}

export const cuts: fc.Arbitrary<number[]> = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
  maxLength: 6,
})

/** Whether a string can be sent as UTF-8 and come back the same. */
export function isText(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

/** Settles as the promise does, or rejects: a hang is a finding. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const late = new Promise<never>((_, reject) => {
    const timeout = setTimeout(() => reject(new Error(`nothing happened for ${ms} ms`)), ms)
    timer.signal.addEventListener('abort', () => clearTimeout(timeout))
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
  }
}
