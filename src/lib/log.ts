/** One line of a log: fields first, sentence second. The shape of pino's methods. */
export type LogMethod = (fields: Record<string, unknown>, message: string) => void

/** Where modules write what happened. Never secrets, never what tenants send. */
export interface Log {
  debug: LogMethod
  info: LogMethod
  warn: LogMethod
  error: LogMethod
}

/** A log that keeps nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
