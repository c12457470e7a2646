/** The server's own log: on standard output, and in the state directory for who asks later. */
import { join } from 'node:path'
import { destination, pino } from 'pino'
import type { Log } from '../../lib/log.ts'
import type { Config } from '../config.ts'
import { createReadable } from './readable.ts'
import { RotatingFile } from './rotating-file.ts'

/** Of the file and of the one before it, each */
const fileMaxBytes = 8 * 2 ** 20

export interface ServerLog {
  log: Log
  /** Takes in a line of JSON, without its newline, that another process of the server logged. */
  logLine: (line: string) => void
}

export const serverLogPath = (stateDir: string) => join(stateDir, 'server.log')

/**
 * Lines of JSON in `server.log`; on standard output readable ones where that is a terminal, else JSON, unless
 * `logFormat` says which. Written when a call returns: a server that dies has said why.
 */
export async function createServerLog({
  logLevel,
  logFormat,
  stateDir,
}: Pick<Config, 'logLevel' | 'logFormat' | 'stateDir'>): Promise<ServerLog> {
  const { stdout } = process
  const isReadable = logFormat === 'pretty' || (logFormat === 'auto' && stdout.isTTY === true)
  const colors = stdout.isTTY === true && stdout.hasColors()
  const format = isReadable ? await createReadable({ colors }) : (line: string) => line
  const shown = destination({ dest: 1, sync: true })
  // Who reads it may leave; the server stays, and the file has the line.
  shown.on('error', () => {})
  const file = new RotatingFile(serverLogPath(stateDir), fileMaxBytes)
  const write = (line: string) => {
    file.write(line)
    shown.write(format(line))
  }
  return { log: pino({ level: logLevel }, { write }), logLine: (line) => write(`${line}\n`) }
}
