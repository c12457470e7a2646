import type { SandboxNode } from '../domain/node.ts'
import type { Store } from '../domain/store.ts'
import type { Telemetry } from '../domain/telemetry.ts'
import type { TemplateArchives } from '../domain/template-archives.ts'
import type { TemplateBuilder } from '../domain/template-builder.ts'
import type { Clock } from '../lib/clock.ts'
import type { KeyedQueue } from '../lib/keyed-queue.ts'
import type { Log } from '../lib/log.ts'
import type { Admission } from './admission.ts'
import type { Endings } from './endings.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Orphans } from './orphans.ts'
import type { StockTemplates } from './stock/stock-templates.ts'

/** What every use case works with. */
export interface ControlContext {
  store: Store
  node: SandboxNode
  lifecycle: Lifecycle
  endings: Endings
  admission: Admission
  orphans: Orphans
  builder: TemplateBuilder
  archives: TemplateArchives
  stock: StockTemplates
  /** A team's builds are made and started one after another, by its id */
  templateTurns: KeyedQueue
  /** Resolves when requests that had arrived at the server by now have been passed on to this process. Never rejects. */
  caughtUp: () => Promise<void>
  /** Is told what operations took */
  telemetry: Telemetry
  clock: Clock
  log: Log
}
