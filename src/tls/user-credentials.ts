import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Credentials, CredentialsSource } from '../domain/credentials.ts'
import { ServerError } from '../domain/error.ts'
import { sleep } from '../lib/deadline.ts'
import type { Log } from '../lib/log.ts'
import { faultOf } from './check-credentials.ts'

/** How often the files are looked at, in milliseconds. */
const pollIntervalMs = 5000
const dayMs = 86_400_000
/** How long before its end a certificate is spoken of, in milliseconds. */
const endsSoonMs = 14 * dayMs

export interface UserCredentialsOptions {
  /** PEM: the certificate, then those between it and its authority */
  certFile: string
  keyFile: string
  domain: string
  log: Log
  /** Unix milliseconds */
  now?: () => number
  pollIntervalMs?: number
}

/**
 * A certificate from the user's files. They are read again and again, as watching would miss what happens behind a
 * symbolic link; a new one that doesn't do leaves the old one in use, and is told of once. Errors:
 * `failed_precondition` with what is wrong with the first.
 */
export async function userCredentials(options: UserCredentialsOptions): Promise<CredentialsSource> {
  const {
    certFile,
    keyFile,
    domain,
    log,
    now = Date.now,
    pollIntervalMs: intervalMs = pollIntervalMs,
  } = options

  /** The files as they are. Errors: an `Error` with a sentence. */
  const read = async (): Promise<Credentials> => {
    const [cert, key] = await Promise.all([readText(certFile), readText(keyFile)])
    return { cert, key }
  }
  const check = (credentials: Credentials) => {
    const fault = faultOf(credentials, domain, now())
    if (fault !== undefined) throw new Error(fault)
  }

  let first: Credentials
  try {
    first = await read()
    check(first)
  } catch (cause) {
    const message = `The certificate ${certFile} with key ${keyFile} can't be used. ${(cause as Error).message}`
    throw new ServerError('failed_precondition', message, { cause })
  }
  return {
    first,
    authority: undefined,
    async watch(onChange, signal) {
      let used = textOf(first)
      let toldOf = ''
      let toldOfEnd = ''
      while (!signal.aborted) {
        await sleep(intervalMs, signal).catch(() => {})
        if (signal.aborted) return
        let seen = 'unreadable'
        try {
          const credentials = await read()
          seen = textOf(credentials)
          if (seen === used) {
            const leftMs = Date.parse(new X509Certificate(credentials.cert).validTo) - now()
            if (leftMs < endsSoonMs && toldOfEnd !== used) {
              log.warn({ certFile, daysLeft: Math.floor(leftMs / dayMs) }, 'the certificate ends soon')
              toldOfEnd = used
            }
            continue
          }
          check(credentials)
          onChange(credentials)
          used = seen
          log.info({ certFile }, 'the certificate has been replaced')
        } catch (error) {
          if (seen === toldOf) continue
          log.error({ err: error, certFile }, 'the new certificate is not used, the old one stays')
          toldOf = seen
        }
      }
    },
  }
}

function textOf({ cert, key }: Credentials): string {
  return `${cert}\0${key}`
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Error(`${file} can't be read (${(error as NodeJS.ErrnoException).code}).`)
  }
}
