/** The flags about names: domain, certificate, DNS. */
import { isIP } from 'node:net'
import { z } from 'zod'

/** The longest domain that leaves room for `<port>-<id>.` before it, in characters. */
const domainMaxLength = 180
const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
const domainPattern = new RegExp(`^${label}(\\.${label})+$`)

/** A domain, and the port that clients reach it by where that isn't the listener's. */
const domain = z.string().transform((text, context) => {
  const [name = '', port, ...rest] = text.toLowerCase().split(':')
  const isPort = port === undefined || (/^[1-9]\d{0,4}$/.test(port) && Number(port) < 65_536)
  if (
    domainPattern.test(name) &&
    name.length <= domainMaxLength &&
    isIP(name) === 0 &&
    isPort &&
    !rest.length
  ) {
    return { name, publicPort: port === undefined ? undefined : Number(port) }
  }
  context.addIssue('--domain must be a name with a dot, such as e2b.local, with :port behind it if need be')
  return z.NEVER
})

const address = z.string().transform((text, context) => {
  const match = /^(?:\[([0-9a-f:.]+)\]|([\d.]+))(?::(\d{1,5}))?$/i.exec(text)
  const host = match?.[1] ?? match?.[2] ?? text
  const port = Number(match?.[3] ?? 53)
  if (isIP(host) !== 0 && port < 65_536 && host !== '0.0.0.0' && host !== '::') return { address: host, port }
  context.addIssue('--dns must be one address of this machine, such as 127.0.0.1:53 or [::1]:53')
  return z.NEVER
})

export const nameSchema = {
  domain: domain.optional(),
  tls: z
    .enum(['true', '1', 'false', '0', ''], { error: '--tls is a flag, and E2B_SERVER_TLS true or false' })
    .transform((text) => text === 'true' || text === '1'),
  tlsCert: z.string().optional(),
  tlsKey: z.string().optional(),
  dns: address.optional(),
}

interface NameConfig {
  domain?: object | undefined
  tls: boolean
  tlsCert?: string | undefined
  tlsKey?: string | undefined
  dns?: object | undefined
}

/** What is wrong with the flags together, as sentences without their final dot. */
export function nameFaults({ domain: name, tls, tlsCert, tlsKey, dns }: NameConfig): string[] {
  const faults: string[] = []
  const isEncrypted = tls || tlsCert !== undefined || tlsKey !== undefined
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    faults.push(
      `--tls-cert and --tls-key go together, and ${tlsCert === undefined ? 'the certificate' : 'the key'} is missing`,
    )
  }
  if (isEncrypted && name === undefined) faults.push('--tls needs --domain: certificates are for names')
  if (dns !== undefined && name === undefined) faults.push('--dns needs --domain, the names that it answers')
  return faults
}
