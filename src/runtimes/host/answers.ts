/** What the helper answers, field by field. It is a program of ours, and still another process. */
import { ServerError } from '../../domain/error.ts'

/** A JSON object from the helper. */
export type Answer = Readonly<Record<string, unknown>>

export function isAnswer(value: unknown): value is Answer {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Errors: `internal`. */
export function wholeOf(answer: Answer, name: string): number {
  const value = answer[name]
  if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value)
  throw violation(name, 'a whole number')
}

/** Errors: `internal`. */
export function textOf(answer: Answer, name: string): string {
  const value = answer[name]
  if (typeof value === 'string') return value
  throw violation(name, 'text')
}

/** Errors: `internal`. */
export function textsOf(answer: Answer, name: string): string[] {
  const value = answer[name]
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value
  throw violation(name, 'a list of texts')
}

/** Names in a page of a list */
const pageSize = 4096

/** All of the list that `op` gives as `name`, page by page. Errors: those of `call`, `internal`. */
export async function listOf(
  call: (op: string, fields: Answer, signal: AbortSignal) => Promise<Answer>,
  { op, name }: { op: string; name: string },
  signal: AbortSignal,
): Promise<string[]> {
  const names: string[] = []
  for (;;) {
    const after = names.at(-1)
    const page = await call(op, { limit: pageSize, ...(after !== undefined && { after }) }, signal)
    const more = textsOf(page, name)
    names.push(...more)
    if (page.more !== true) return names
    if (more.length === 0) throw violation(name, 'a page of names, though there are more')
  }
}

function violation(name: string, wanted: string): ServerError {
  return new ServerError('internal', 'Internal error. The server log has the cause.', {
    cause: new Error(`the helper's ${name} is not ${wanted}`),
  })
}
