import { ServerError } from '../domain/error.ts'
import { ensureUser } from '../guest/ensure-user.ts'
import type { Guest } from '../guest/guest.ts'
import { read } from '../guest/read.ts'
import { stat } from '../guest/stat.ts'

/** Longest list of users that is looked through, in bytes. */
const passwdMaxBytes = 2 ** 20

/**
 * The login name of a user who is made where there is none. A Dockerfile may have `user:group`, of which the user counts, and
 * a number. Errors: `invalid_argument` (a name that can't be a user's), `failed_precondition`, those of `Guest`.
 */
export async function makeUser(
  guest: Guest,
  text: string,
  signal: AbortSignal,
): Promise<{ user: string; created: boolean }> {
  const [name = ''] = text.split(':')
  if (/^\d+$/.test(name)) return { user: await nameOf(guest, name, signal), created: false }
  if (await isThere(guest, name, signal)) return { user: name, created: false }
  const { user, created } = await ensureUser(guest, { name }, signal)
  return { user, created }
}

async function isThere(guest: Guest, user: string, signal: AbortSignal): Promise<boolean> {
  try {
    await stat(guest, { path: '/', user }, signal)
    return user !== ''
  } catch (error) {
    if (error instanceof ServerError && error.code === 'unauthenticated') return false
    throw error
  }
}

async function nameOf(guest: Guest, number: string, signal: AbortSignal): Promise<string> {
  const users = await read(guest, { path: '/etc/passwd', user: 'root', length: passwdMaxBytes }, signal)
  const pieces: Buffer[] = []
  for await (const bytes of users.body) pieces.push(bytes)
  for (const line of Buffer.concat(pieces).toString().split('\n')) {
    const [login, , id] = line.split(':')
    if (login && id === String(Number(number))) return login
  }
  throw new ServerError('failed_precondition', `There is no user with the number ${number}. Use a name.`)
}
