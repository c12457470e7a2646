/** What the server says of its own domain: every name in it is the listener's address, and has nothing else. */
import { isIPv4 } from 'node:net'
import { type Answer, AUTHORITATIVE_ANSWER, encode, type Packet, type Question } from 'dns-packet'

export interface Zone {
  /** Lower case, without a final dot */
  domain: string
  /** IPv4 or IPv6, of the listener */
  address: string
}

/** Upper bits of the response code BADVERS (RFC 6891 6.1.3). */
const badVersion = 1

/** The address may change with the next start; programs keep what they resolved no longer than this, in seconds. */
const ttlS = 60

/** Whether a question is about the domain or a name under it. */
export function isInZone({ domain }: Zone, { name }: Pick<Question, 'name'>): boolean {
  const lower = name.toLowerCase().replace(/\.$/, '')
  return lower === domain || lower.endsWith(`.${domain}`)
}

/** The answer to a query with one question that is in the zone. */
export function answerFromZone(zone: Zone, query: Packet): Buffer {
  const edns = query.additionals?.find(({ type }) => type === 'OPT') as { ednsVersion?: number } | undefined
  if ((edns?.ednsVersion ?? 0) > 0) return respond(query, {}, badVersion)
  const question = query.questions![0]!
  const type = isIPv4(zone.address) ? 'A' : 'AAAA'
  const isAsked = question.type === type || (question.type as string) === 'ANY'
  const hasAnswer = isAsked && (question.class ?? 'IN') === 'IN'
  const { name } = question
  const answer: Answer = { type, name, ttl: ttlS, data: zone.address, class: 'IN' }
  return respond(query, {
    flags: AUTHORITATIVE_ANSWER,
    answers: hasAnswer ? [answer] : [],
    authorities: hasAnswer ? [] : [authority(zone)],
  })
}

/**
 * A response to a query: its id, its question, whether it asks for recursion, and EDNS where it has it, with the upper
 * bits of the response code in it.
 */
export function respond(query: Packet, response: Packet, extendedRcode = 0): Buffer {
  const hasEdns = query.additionals?.some(({ type }) => type === 'OPT') ?? false
  return encode({
    ...response,
    type: 'response',
    id: query.id ?? 0,
    flags: (response.flags ?? 0) | ((query.flags ?? 0) & recursionDesired) | recursionAvailable,
    questions: query.questions ?? [],
    additionals: hasEdns
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: 1232,
            extendedRcode,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  })
}

const recursionDesired = 1 << 8
const recursionAvailable = 1 << 7

/** Says that there is nothing of the kind asked for, and for how long that may be believed (RFC 2308). */
function authority({ domain }: Zone): Answer {
  return {
    type: 'SOA',
    name: domain,
    ttl: ttlS,
    class: 'IN',
    data: {
      mname: domain,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 3600,
      retry: 600,
      expire: 86_400,
      minimum: ttlS,
    },
  }
}
