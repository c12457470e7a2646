import type { TestServer } from '../tests/support/server.ts'
import type { Report } from './report.ts'

export interface BenchContext {
  /** Shared by all groups of a run */
  server: TestServer
  report: Report
}

/** One group of figures. Leaves no sandbox and no container behind. */
export type Group = (context: BenchContext) => Promise<void>
