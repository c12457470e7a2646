/**
 * An authority of this server's own, for one domain. Whoever trusts it trusts it for that domain and nothing else: the
 * certificate says so (name constraints, RFC 5280 4.2.1.10), and no address is in it. Made on first use and kept;
 * the certificates it issues live in memory only.
 */
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Authority, Credentials } from '../domain/credentials.ts'
import { ServerError } from '../domain/error.ts'
import { systemBundle } from './system-bundle.ts'
import { exportKey, keyAlgorithm, loadX509 } from './x509.ts'

const dayMs = 86_400_000
const caLifeMs = 3650 * dayMs
/** Below what browsers accept of any certificate. */
const leafLifeMs = 90 * dayMs
/** Clocks of clients may be behind. */
const skewMs = dayMs

export interface LocalCa extends Authority {
  /** A new certificate for the domain and its subdomains, valid from `nowMs`, Unix milliseconds. */
  issue(nowMs: number): Promise<Credentials>
}

/**
 * The authority whose files are in `folder`, made if there is none. Errors: `failed_precondition` when its files are
 * broken, or it has expired.
 */
export async function openLocalCa(folder: string, domain: string): Promise<LocalCa> {
  const file = join(folder, 'ca.pem')
  const keyFile = join(folder, 'ca-key.pem')
  const bundleFile = join(folder, 'ca-bundle.pem')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  let kept = read(file, keyFile)
  if (kept === undefined) {
    const made = await makeCa(domain)
    // The key first: a certificate is there only with its key.
    writeWhole(keyFile, made.key, 0o600)
    writeWhole(file, made.cert, 0o644)
    kept = made
  }
  check(kept, folder)
  // What the machine trusts may have changed since the last start.
  const others = systemBundle()
  writeWhole(bundleFile, others.includes(kept.cert) ? others : `${others}\n${kept.cert}`, 0o644)
  const { cert, key } = kept
  return { file, bundleFile, issue: (nowMs) => issue({ cert, key }, domain, nowMs) }
}

async function makeCa(domain: string): Promise<Credentials> {
  const x509 = await loadX509()
  const { AsnConvert } = await import('@peculiar/asn1-schema')
  const { GeneralName, GeneralSubtree, GeneralSubtrees, NameConstraints } = await import(
    '@peculiar/asn1-x509'
  )
  const keys = await makeKeys()
  const subtree = (name: ConstructorParameters<typeof GeneralName>[0]) =>
    new GeneralSubtree({ base: new GeneralName(name) })
  const constraints = new NameConstraints({
    permittedSubtrees: new GeneralSubtrees([subtree({ dNSName: domain })]),
    // Address and mask, all zero: any address.
    excludedSubtrees: new GeneralSubtrees([
      subtree({ iPAddress: '0.0.0.0/0' }),
      subtree({ iPAddress: '::/0' }),
    ]),
  })
  const now = Date.now()
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ O: ['e2b-server'] }, { CN: [`e2b-server local authority for ${domain}`] }],
    notBefore: new Date(now - skewMs),
    notAfter: new Date(now + caLifeMs),
    keys,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.Extension('2.5.29.30', true, AsnConvert.serialize(constraints)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { cert: `${cert.toString('pem')}\n`, key: await exportKey(keys.privateKey) }
}

async function issue(ca: Credentials, domain: string, nowMs: number): Promise<Credentials> {
  const x509 = await loadX509()
  const issuer = new x509.X509Certificate(ca.cert)
  const der = createPrivateKey(ca.key).export({ format: 'der', type: 'pkcs8' })
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, keyAlgorithm, false, ['sign'])
  const keys = await makeKeys()
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [domain.slice(0, 64)] }],
    issuer: issuer.subject,
    notBefore: new Date(nowMs - skewMs),
    notAfter: new Date(Math.min(nowMs + leafLifeMs, issuer.notAfter.getTime())),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: domain },
        { type: 'dns', value: `*.${domain}` },
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  })
  return { cert: `${cert.toString('pem')}\n${ca.cert}`, key: await exportKey(keys.privateKey) }
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(keyAlgorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair
}

/** 16 random bytes as a positive number, in hex. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes.toString('hex')
}

function read(file: string, keyFile: string): Credentials | undefined {
  const cert = readIfThere(file)
  const key = readIfThere(keyFile)
  return cert === undefined || key === undefined ? undefined : { cert, key }
}

function check({ cert, key }: Credentials, folder: string): void {
  const remedy = `Remove ${folder}, and the next start makes a new one, which clients have to trust anew.`
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(cert)
    if (!parsed.checkPrivateKey(createPrivateKey(key))) throw new Error('the key is another one')
  } catch (cause) {
    throw new ServerError('failed_precondition', `The local authority in ${folder} is broken. ${remedy}`, {
      cause,
    })
  }
  if (Date.parse(parsed.validTo) < Date.now()) {
    throw new ServerError('failed_precondition', `The local authority in ${folder} has expired. ${remedy}`)
  }
}

function writeWhole(path: string, text: string, mode: number): void {
  writeFileSync(`${path}.new`, text, { mode })
  chmodSync(`${path}.new`, mode)
  renameSync(`${path}.new`, path)
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
