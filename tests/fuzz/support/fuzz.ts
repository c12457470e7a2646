/**
 * Fuzzing with a kept corpus and a budget of time. What was found once is replayed first; then random inputs follow for
 * E2B_FUZZ_SECONDS, from a seed that is printed.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { decodeInput, encodeInput } from './inputs.ts'

export interface Target<Input> {
  /** Names its folder in the corpus */
  name: string
  /** Plain data and buffers only, as inputs are kept as JSON */
  input: fc.Arbitrary<Input>
  /** Throws on a finding; settles within seconds whatever the input */
  check(input: Input): void | Promise<void>
}

/** How long each target gets, in milliseconds, besides its corpus. */
export const budgetMs = Number(process.env.E2B_FUZZ_SECONDS ?? 5) * 1000

const root = join(import.meta.dirname, '../../..')
const seedMax = 2 ** 31 - 1

/**
 * Checks a target. Rejects with the smallest input found that fails, which has by then been written to a file, and
 * with the commands that repeat the run and keep the input.
 */
export async function fuzz<Input>(target: Target<Input>): Promise<void> {
  const replayed = await replayCorpus(target)
  const seed = Number(process.env.E2B_FUZZ_SEED ?? Math.floor(Math.random() * seedMax))
  let last: { input: Input; done: Promise<void> } | undefined
  const property = fc.asyncProperty(target.input, (input) => {
    last = { input, done: Promise.resolve(input).then(target.check) }
    return last.done
  })
  const { numRuns, counterexample, errorInstance } = await fc.check(property, {
    seed,
    // Endless but for the budget.
    numRuns: seedMax,
    interruptAfterTimeLimit: budgetMs,
    markInterruptAsFailure: false,
  })
  console.log(`fuzz ${target.name}: ${replayed} from the corpus, ${numRuns} random (seed ${seed})`)
  if (counterexample !== null)
    throw finding(target.name, { seed, input: counterexample[0], error: errorInstance })
  // The budget ends in the middle of a check, which may yet fail, or hang.
  await last?.done.catch((error) => {
    throw finding(target.name, { seed, input: last?.input, error })
  })
  if (last === undefined) throw new Error(`${target.name}: no input was tried in ${budgetMs} ms`)
}

async function replayCorpus<Input>({ name, check }: Target<Input>): Promise<number> {
  const folder = corpusOf(name)
  const files = existsSync(folder) ? readdirSync(folder).sort() : []
  for (const file of files) {
    const input = decodeInput(readFileSync(join(folder, file), 'utf8')) as Input
    try {
      await check(input)
    } catch (cause) {
      throw new Error(`corpus/${name}/${file} fails: ${String(cause)}`, { cause })
    }
  }
  return files.length
}

function finding(
  name: string,
  { seed, input, error }: { seed: number; input: unknown; error: unknown },
): Error {
  const json = encodeInput(input)
  const file = join(
    root,
    'build/fuzz',
    name,
    `${createHash('sha256').update(json).digest('hex').slice(0, 12)}.json`,
  )
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, json)
  const corpus = relative(root, corpusOf(name))
  const message = [
    `${name}: ${String(error)}`,
    `input: ${inspect(input, { depth: 8, breakLength: 110 })}`,
    `repeat: E2B_FUZZ_SEED=${seed} npm test -- --only fuzz`,
    `keep:   mkdir -p ${corpus} && cp ${relative(root, file)} ${corpus}/`,
  ]
  return new Error(message.join('\n'), { cause: error })
}

function corpusOf(name: string): string {
  return join(import.meta.dirname, '../corpus', name)
}
