import type { Sandbox } from '../domain/sandbox.ts'
import type { SandboxMetrics } from '../domain/sandbox-metrics.ts'
import { linkSignals } from '../lib/linked-signal.ts'
import type { ControlContext } from './context.ts'

/** How long one agent may take to answer, in ms. */
const answerTimeoutMs = 2_000

/** Asks a sandbox's agent what it uses; none where there is nobody to ask. Rejects when there is no answer in time. */
export async function sampleSandbox(
  { node, clock }: Pick<ControlContext, 'node' | 'clock'>,
  { id, handle }: Sandbox,
  signal?: AbortSignal,
): Promise<SandboxMetrics | undefined> {
  if (handle === null) return undefined
  const both = linkSignals(signal === undefined ? [] : [signal], answerTimeoutMs)
  try {
    const { timestampMs: _, ...used } = await node.sample(handle, both.signal)
    return { ...used, sandboxId: id, at: Math.floor(clock.now()) }
  } finally {
    both.dispose()
  }
}
