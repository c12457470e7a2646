/**
 * Queries about other domains, passed on to the system's resolvers. An answer counts only from whom was asked, with the
 * id (random, from a random port) and the question that were sent. Equal queries under way share one, and few may ask the
 * same in other words: should a resolver ask this server in turn, that is where the circle ends.
 */

import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { decode } from 'dns-packet'
import { connectSocket } from '../lib/connect-socket.ts'
import { patientSignal, startPatience } from '../lib/patience.ts'
import { createFrames, frame } from './frames.ts'
import type { ResolverAddress } from './resolvers.ts'

/** How long one resolver may take, in milliseconds, and how many are asked. */
const answerTimeoutMs = 2000
const maxResolvers = 3
/** Queries under way at once. */
const maxUnderWay = 256
/** Of these, queries about one name and type, which differ in options or spelling. */
const maxAlike = 4

export type Via = 'udp' | 'tcp'

export interface Forwarder {
  /** The answer to a query of at least a header; undefined: nobody gave one in time. Never rejects. */
  forward(query: Buffer, via: Via): Promise<Buffer | undefined>
}

/** `resolvers` gives those to ask, in their order. */
export function createForwarder(
  resolvers: () => ResolverAddress[],
  { timeoutMs = answerTimeoutMs }: { timeoutMs?: number } = {},
): Forwarder {
  const underWay = new Map<string, Promise<Buffer | undefined>>()

  const alike = new Map<string, number>()

  const ask = async (query: Buffer, via: Via): Promise<Buffer | undefined> => {
    const exchange = via === 'udp' ? askByUdp : askByTcp
    let last: Buffer | undefined
    for (const resolver of resolvers().slice(0, maxResolvers)) {
      const sent = Buffer.from(query)
      sent.writeUInt16BE(randomInt(0x1_0000))
      const answer = await exchange(sent, resolver, timeoutMs).catch(() => undefined)
      if (answer !== undefined && !isRefusal(answer)) return answer
      last = answer ?? last
    }
    return last
  }

  return {
    async forward(query, via) {
      const key = `${via} ${query.toString('latin1', 2)}`
      let asked = underWay.get(key)
      if (asked === undefined) {
        const subject = subjectOf(query)
        const others = alike.get(subject) ?? 0
        if (underWay.size >= maxUnderWay || others >= maxAlike) return undefined
        alike.set(subject, others + 1)
        asked = ask(query, via).catch(() => undefined)
        underWay.set(key, asked)
        void asked.then(() => {
          underWay.delete(key)
          const left = (alike.get(subject) ?? 1) - 1
          if (left === 0) alike.delete(subject)
          else alike.set(subject, left)
        })
      }
      const answer = await asked
      if (answer === undefined) return undefined
      const own = Buffer.from(answer)
      query.copy(own, 0, 0, 2)
      return own
    },
  }
}

/** Whether a resolver has answered that it won't, or can't: another may. */
function isRefusal(answer: Buffer): boolean {
  const [serverFailure, refused] = [2, 5]
  const code = answer.readUInt8(3) & 0xf
  return code === serverFailure || code === refused
}

/** What a query asks, however it is spelled; what can't be read is all alike. */
function subjectOf(query: Buffer): string {
  try {
    const [asked] = decode(query).questions ?? []
    return asked === undefined ? '' : `${asked.type} ${asked.class} ${asked.name.toLowerCase()}`
  } catch {
    return ''
  }
}

function askByUdp(
  query: Buffer,
  { address, port }: ResolverAddress,
  timeoutMs: number,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    let isOver = false
    const end = (answer?: Buffer) => {
      if (isOver) return
      isOver = true
      patience.stop()
      socket.close()
      resolve(answer)
    }
    const patience = startPatience(timeoutMs, () => end())
    socket.on('error', () => end())
    socket.on('message', (answer) => {
      if (isAnswerTo(answer, query)) end(answer)
    })
    // A connected socket takes nothing from anybody else.
    socket.connect(port, address, () => socket.send(query, (error) => error && end()))
  })
}

async function askByTcp(
  query: Buffer,
  { address, port }: ResolverAddress,
  timeoutMs: number,
): Promise<Buffer | undefined> {
  const signal = patientSignal(timeoutMs)
  const socket = await connectSocket({ host: address, port }, signal)
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      const patience = startPatience(timeoutMs, () =>
        reject(new Error('The resolver did not answer in time.')),
      )
      socket.once('close', () => {
        patience.stop()
        reject(new Error('The resolver closed the connection.'))
      })
      socket.on('error', reject)
      socket.on(
        'data',
        createFrames((answer) => {
          if (isAnswerTo(answer, query)) resolve(answer)
          else reject(new Error('The resolver answered to something else.'))
        }),
      )
      socket.write(frame(query))
    })
  } finally {
    socket.destroy()
  }
}

function isAnswerTo(answer: Buffer, query: Buffer): boolean {
  try {
    const given = decode(answer)
    if (given.type !== 'response' || given.id !== query.readUInt16BE()) return false
    const [asked] = decode(query).questions ?? []
    const [echoed] = given.questions ?? []
    // Some answer what they can't read without a question.
    if (echoed === undefined) return asked !== undefined && given.questions?.length === 0
    return (
      echoed.type === asked?.type &&
      echoed.class === asked?.class &&
      echoed.name.toLowerCase() === asked?.name.toLowerCase()
    )
  } catch {
    return false
  }
}
