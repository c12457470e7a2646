/** What images are made fit with, by the server's flags. */
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Runtime } from '../domain/runtime.ts'
import type { Provision } from '../templates/build-context.ts'
import { openImageTools } from '../templates/image-tools.ts'
import { createProvision } from '../templates/provision.ts'
import { createAuthorities } from '../templates/trust-authorities.ts'
import { type Config, ConfigError } from './config.ts'
import { imageTools } from './installation.ts'

const fileMax = { bytes: 2 ** 20, certificates: 500 }

export interface Provisions {
  /** For images that builds begin with; null: the runtime uses none */
  ofImages: Provision | null
  /** For the stock template's, which has all but the operator's authorities; null: it is used as it is */
  ofStock: Provision | null
}

/** Errors: `ConfigError` for a file of authorities that can't be used. */
export async function openProvision({ sandboxCa, buildEnv }: Config, runtime: Runtime): Promise<Provisions> {
  // The development runtime has this machine's own programs, and changes none of them.
  if (!runtime.capabilities.isolation) {
    if (sandboxCa === undefined) return { ofImages: null, ofStock: null }
    throw new ConfigError(
      `--sandbox-ca: sandboxes of the ${runtime.name} runtime have this machine's own trust store. Leave the flag out.`,
    )
  }
  const authorities = sandboxCa === undefined ? undefined : createAuthorities(readAuthorities(sandboxCa).pem)
  const ofImages = createProvision({ authorities, env: buildEnv, tools: await openImageTools(imageTools()) })
  return { ofImages, ofStock: authorities === undefined ? null : ofImages }
}

/** The certificates of a PEM file, written alike and each once. Errors: `ConfigError`. */
export function readAuthorities(path: string): { pem: string; certificates: X509Certificate[] } {
  const refuse = (why: string) => new ConfigError(`--sandbox-ca: ${path} ${why}.`)
  const text = readBounded(path, refuse)
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    throw refuse('has a private key, which every sandbox would get. Give a file with certificates alone')
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw refuse('has no certificate in PEM ("-----BEGIN CERTIFICATE-----")')
  if (blocks.length > fileMax.certificates) throw refuse(`has more than ${fileMax.certificates} certificates`)
  const certificates = new Map<string, X509Certificate>()
  for (const [index, block] of blocks.entries()) {
    try {
      const certificate = new X509Certificate(block)
      certificates.set(certificate.fingerprint256, certificate)
    } catch {
      throw refuse(`is damaged: its certificate number ${index + 1} can't be read`)
    }
  }
  const all = [...certificates.values()]
  return { pem: all.map((each) => `${each.toString().trim()}\n`).join(''), certificates: all }
}

function readBounded(path: string, refuse: (why: string) => ConfigError): string {
  try {
    if (statSync(path).size <= fileMax.bytes) return readFileSync(path, 'utf8')
  } catch (error) {
    throw refuse(`can't be read (${(error as Error).message})`)
  }
  throw refuse(`is larger than ${fileMax.bytes / 2 ** 20} MiB`)
}
