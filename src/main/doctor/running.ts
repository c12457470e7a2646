import type { Reach, ServerInfo } from '../state-dir.ts'

/** A server that takes requests. */
export type Running = ServerInfo & { url: string; reach: Reach }
