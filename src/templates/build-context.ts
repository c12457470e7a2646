import type { Readable } from 'node:stream'
import type { Runtime } from '../domain/runtime.ts'
import type { Store } from '../domain/store.ts'
import type { TemplateBuild } from '../domain/template-build.ts'
import type { Guest } from '../guest/guest.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { BuildLog } from './build-log.ts'
import type { BuildDefaults } from './build-state.ts'
import type { Hold } from './holds.ts'
import type { LayerCache } from './layer-cache.ts'
import type { PrivateImages } from './private-images.ts'
import type { CommandOptions } from './run-command.ts'
import type { Workbench } from './workbench.ts'

/** Makes any image one that sandboxes can be of. */
export interface Provision {
  /** Changes whenever what it does is another thing */
  version: string
  /**
   * Resolves with variables that sandboxes of the image have from it. Errors: `failed_precondition`, saying why the image
   * can't be used.
   */
  run(guest: Guest, options: CommandOptions): Promise<Record<string, string>>
}

/** What all builds of a server share. */
export interface BuilderParts {
  runtime: Runtime
  store: Pick<
    Store,
    'builds' | 'buildLogs' | 'privateImages' | 'layers' | 'sandboxes' | 'tags' | 'templateFiles'
  >
  /** The archive of a COPY step, as it was uploaded. Errors: `not_found`. */
  openFile: (teamId: string, filesHash: string) => Promise<Readable>
  /** Removes such an archive with its record. Idempotent. */
  removeFile: (teamId: string, filesHash: string) => Promise<void>
  /** As `Admission.enterBuild`. */
  admit: (
    teamId: string,
    options: { onWait: (why: string) => void; signal: AbortSignal },
  ) => Promise<() => void>
  defaults: BuildDefaults
  /** How long a build's ready command may take to succeed, in ms */
  readyMs: number
  /** Null where images are used as they are */
  provision: Provision | null
  /**
   * Variables of the commands that steps run, below those of the template and no part of it: neither of its layers' keys nor
   * of its sandboxes
   */
  commandEnv: Record<string, string>
  clock: Clock
  log: Log
}

/** What one build has while it runs. */
export interface BuildContext {
  parts: BuilderParts
  build: TemplateBuild
  bench: Workbench
  hold: Hold
  cache: LayerCache
  privateImages: PrivateImages
  log: BuildLog
  signal: AbortSignal
  /** Adds what is to be done once the build has no guest any more; it must not reject. */
  atEnd: (task: () => Promise<void>) => void
}
