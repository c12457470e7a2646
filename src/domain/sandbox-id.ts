import { ServerError } from './error.ts'

/** Whether `text` is safe as a part of file, container and host names, as every sandbox id is. */
export function isSandboxId(text: string): boolean {
  return /^[a-z0-9][a-z0-9_-]{0,62}$/.test(text)
}

/** The id itself. Errors: `invalid_argument` when it isn't one. */
export function checkSandboxId(text: string): string {
  if (isSandboxId(text)) return text
  throw new ServerError(
    'invalid_argument',
    'A sandbox id has 1 to 63 lower-case letters, digits, dashes and underscores.',
  )
}

/** Whether `text` looks like the ids that the server makes, and so can be one in its store: `i` + 20 of `[a-z0-9]`. */
export function isMadeHere(text: string): boolean {
  return /^i[a-z0-9]{20}$/.test(text)
}
