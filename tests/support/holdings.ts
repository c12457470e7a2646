/** What a server has on this machine for its sandboxes, as whoever asks the engine or the helper beside the server sees it. */
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import { databasePath } from '../../src/main/state-dir.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { dockerHoldings } from './docker-holdings.ts'
import { nativeHoldings } from './native-holdings.ts'

export type GuestState = 'running' | 'paused' | 'stopped'

export interface Holdings {
  /** By the ids of their sandboxes */
  guests(): Promise<Map<string, GuestState>>
  /** Names of the images that are its own */
  images(): Promise<string[]>
  /** Names of the images that are called `<repository>:<anything>`, whoever made them */
  named(repository: string): Promise<string[]>
  /** The id of one that is there, as the server knows it */
  idOf(image: string): Promise<string>
  /** Sandboxes that have a directory */
  directories(): string[]
  /** What is mounted for guests where this process sees it, and whatever else may be left of them, in words */
  remainders(): string[]
  /** Networks and rules, in words */
  networks(): Promise<string[]>
  /**
   * Does what a restart of the machine does: all processes of guests end, frozen ones too, and where a helper has made
   * anything that is no file, that goes with the helper. For a server that has ended.
   */
  reboot(): Promise<void>
  /** With their files, behind the server's back */
  removeGuests(): Promise<void>
  removeImages(): Promise<void>
}

export interface Owner {
  stateDir: string
  instanceId: string
}

/** Of the server with that state directory, whether it runs or not. `env`: what the server was given beside the usual. */
export async function holdingsOf(stateDir: string, env: Record<string, string> = {}): Promise<Holdings> {
  const store = await openSqliteStore({ path: databasePath(stateDir) })
  await store.close()
  const owner = { stateDir, instanceId: store.instanceId }
  const runtime = env.E2B_SERVER_RUNTIME ?? testedRuntime()
  return runtime === 'docker' ? dockerHoldings(owner, env) : nativeHoldings(owner, runtime)
}
