/** What is done in a guest between its start and its first use. */
import type { Sandbox } from '../domain/sandbox.ts'
import { configure } from '../guest/configure.ts'
import type { Guest } from '../guest/guest.ts'
import { anySignal } from '../lib/deadline.ts'
import { patientSignal } from '../lib/patience.ts'

/** Whose guest it is, as far as its inside shows. */
export type Identity = Pick<Sandbox, 'id' | 'templateId' | 'defaults'>

export interface ConfigureOptions {
  /** User that commands and files belong to when neither a request nor the build names one */
  defaultUser: string
  signal: AbortSignal
  /** How long the agent may take, in ms */
  timeoutMs?: number
}

/** How long a fresh agent may take to accept its configuration, in ms. */
const configureTimeoutMs = 10_000

/** Settings, with the variables of a create above those of its build. Errors: those of `configure`. */
export async function configureGuest(
  guest: Guest,
  { id, templateId, defaults }: Identity,
  envVars: Record<string, string>,
  { defaultUser, signal, timeoutMs = configureTimeoutMs }: ConfigureOptions,
): Promise<void> {
  const settings = {
    env: { ...defaults.env, ...envVars },
    user: defaults.user ?? defaultUser,
    ...(defaults.workdir !== null && { workdir: defaults.workdir }),
    sandboxId: id,
    templateId,
  }
  await configure(guest, settings, anySignal(signal, patientSignal(timeoutMs)))
}

/** Whether a build starts something in its sandboxes, or asks them whether they are ready. */
export function hasCommands({ startCmd, readyCmd }: Sandbox['defaults']): boolean {
  return startCmd !== null || readyCmd !== null
}
