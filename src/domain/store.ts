import type { LifecycleEventStore } from './lifecycle-event.ts'
import type { NodeStatusStore } from './node-status.ts'
import type { SandboxStore } from './sandbox.ts'
import type { SandboxLogStore } from './sandbox-log.ts'
import type { SandboxMetricsStore } from './sandbox-metrics.ts'
import type { ApiKeyStore, TeamStore } from './team.ts'
import type { TeamSampleStore } from './team-sample.ts'
import type { TagStore, TemplateStore } from './template.ts'
import type { BuildLogStore, BuildStore } from './template-build.ts'
import type { LayerStore, PrivateImageStore, TemplateFileStore } from './template-layer.ts'
import type { WarmGuestStore } from './warm-guest.ts'
import type { WebhookStore } from './webhook.ts'

/**
 * All that is kept. `src/store/store.suite.ts` is the contract's test: every dialect passes it. What a method has written survives
 * the end of this process when it resolves, and of the machine too, but for what is lazily done to sandboxes (`SandboxStore`)
 * and to forks' copies.
 */
export interface Store {
  readonly sandboxes: SandboxStore
  readonly events: LifecycleEventStore
  readonly templates: TemplateStore
  readonly builds: BuildStore
  /** The same, for copies that forks are made of: they go with the request, so no method waits for the disk. */
  readonly forkBuilds: BuildStore
  readonly tags: TagStore
  readonly buildLogs: BuildLogStore
  readonly layers: LayerStore
  readonly templateFiles: TemplateFileStore
  readonly privateImages: PrivateImageStore
  readonly teams: TeamStore
  readonly apiKeys: ApiKeyStore
  readonly teamSamples: TeamSampleStore
  readonly sandboxMetrics: SandboxMetricsStore
  readonly logs: SandboxLogStore
  readonly webhooks: WebhookStore
  readonly nodeStatus: NodeStatusStore
  readonly warmGuests: WarmGuestStore
  /**
   * Names of the runtimes that sandboxes (with guests that wait for one), and teams' builds, are of: no other one can go on
   * with them.
   */
  runtimes(): Promise<{ sandboxes: string[]; builds: string[] }>
  /** Made with the store and never changed: marks what on this machine belongs to this server. */
  readonly instanceId: string
  /** Resolves when all that has been written by now survives a power failure. Errors: the disk's. */
  durable(): Promise<void>
  close(): Promise<void>
}
