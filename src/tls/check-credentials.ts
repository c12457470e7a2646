import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Credentials } from '../domain/credentials.ts'

/** What is wrong with a certificate for a domain at a time (Unix milliseconds), as a sentence; undefined: nothing. */
export function faultOf({ cert, key }: Credentials, domain: string, nowMs: number): string | undefined {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(cert)
  } catch {
    return 'The certificate is not one in PEM: it begins with "-----BEGIN CERTIFICATE-----".'
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return 'The key is not the certificate’s.'
  } catch {
    return 'The key is not one in PEM without a passphrase.'
  }
  if (Date.parse(certificate.validTo) <= nowMs) return `The certificate has expired (${certificate.validTo}).`
  if (Date.parse(certificate.validFrom) > nowMs) {
    return `The certificate is not valid yet (from ${certificate.validFrom}).`
  }
  for (const name of [`api.${domain}`, `3000-iexample.${domain}`]) {
    if (certificate.checkHost(name) === undefined) {
      return `The certificate is not for ${name}: it must have *.${domain} among its names.`
    }
  }
  try {
    createSecureContext({ cert, key })
  } catch {
    return 'One of the certificates after the first can’t be read: they are those between it and its authority, in PEM.'
  }
  return undefined
}
