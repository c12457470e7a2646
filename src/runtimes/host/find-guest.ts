import { ServerError } from '../../domain/error.ts'
import { type Answer, textOf, textsOf } from './answers.ts'
import type { HostClient } from './host-client.ts'

const states = ['running', 'frozen', 'stopped', 'cut-off', 'gone'] as const

/** What the helper finds a guest as. */
export type GuestState = (typeof states)[number]

export interface FoundGuest {
  state: Exclude<GuestState, 'gone'>
  /** Names of the layers it is made of, lowest first */
  layers: string[]
  /** The image that it was started from */
  image: string
}

/** Undefined where there is nothing of it. Errors: as `HostClient.call`. */
export async function findGuest(
  { call }: Pick<HostClient, 'call'>,
  sandboxId: string,
  signal: AbortSignal,
): Promise<FoundGuest | undefined> {
  const answer = await call('find', { sandbox: sandboxId }, signal)
  const state = stateOf(answer)
  if (state === 'gone') return undefined
  return { state, layers: textsOf(answer, 'layers'), image: textOf(answer, 'note') }
}

/** Errors: `not_found`, and as `HostClient.call`. */
export async function getGuest(
  client: Pick<HostClient, 'call'>,
  sandboxId: string,
  signal: AbortSignal,
): Promise<FoundGuest> {
  const found = await findGuest(client, sandboxId, signal)
  if (found === undefined) throw new ServerError('not_found', `There is no sandbox ${sandboxId}.`)
  return found
}

function stateOf(answer: Answer): GuestState {
  const said = textOf(answer, 'state')
  const state = states.find((each) => each === said)
  if (state !== undefined) return state
  throw new ServerError('internal', 'Internal error. The server log has the cause.', {
    cause: new Error(`the helper finds a guest as ${said}`),
  })
}
