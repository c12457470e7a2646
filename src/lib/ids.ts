import { randomBytes, randomInt } from 'node:crypto'

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'

function randomText(length: number): string {
  let text = ''
  for (let i = 0; i < length; i++) text += alphabet[randomInt(alphabet.length)]
  return text
}

/** A sandbox id: `i` and 20 of `[a-z0-9]`. No dash, because host names are split there (e2b-wire 1.5). */
export function newSandboxId(): string {
  return `i${randomText(20)}`
}

/** A secret of 32 random bytes as 64 lower-case hex digits. */
export function newToken(): string {
  return randomBytes(32).toString('hex')
}

/** A short random id for a row of the store: 20 of `[a-z0-9]`. */
export function newId(): string {
  return randomText(20)
}
