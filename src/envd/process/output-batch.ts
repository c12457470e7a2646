/**
 * Output of a process as `Start` and `Connect` send it, encoded by hand: whole outputs pass through here, and the
 * general encoder takes thirty times as long for base64. The tests compare the two byte for byte.
 *
 *     StartResponse, ConnectResponse   1 event: ProcessEvent
 *     ProcessEvent                     2 data: DataEvent
 *     DataEvent                        1 stdout, 2 stderr, 3 pty: bytes
 */
import { type Codec, envelopeHeadBytes, writeEnvelopeHead } from '../rpc/envelope.ts'

export type OutputKind = 'stdout' | 'stderr' | 'pty'

/** The longest piece that one event has, in bytes (e2b-wire 3.2). */
const eventMaxBytes: Record<OutputKind, number> = {
  stdout: 32 * 1024,
  stderr: 32 * 1024,
  pty: 16 * 1024,
}

/** Shorter output is copied behind its head rather than sent as a piece of its own, in bytes. */
const copyMaxBytes = 4096

interface OutputEvent {
  kind: OutputKind
  pieces: Buffer[]
  length: number
}

/** What has come of a process's output at one time, in as few events as may be. */
export interface OutputBatch {
  add(kind: OutputKind, bytes: Buffer): void
  /** Whole envelopes, or nothing. The batch is empty then. */
  take(codec: Codec): Buffer[]
}

export function createOutputBatch(): OutputBatch {
  let events: OutputEvent[] = []
  return {
    add(kind, bytes) {
      const maxBytes = eventMaxBytes[kind]
      for (let at = 0; at < bytes.length; at += maxBytes) {
        const piece = bytes.subarray(at, at + maxBytes)
        const last = events.at(-1)
        if (last?.kind === kind && last.length + piece.length <= maxBytes) {
          last.pieces.push(piece)
          last.length += piece.length
        } else {
          events.push({ kind, pieces: [piece], length: piece.length })
        }
      }
    },
    take(codec) {
      const taken = events
      events = []
      if (codec === 'json') return taken.length === 0 ? [] : [encodeJson(taken)]
      return taken.flatMap(encodeProto)
    },
  }
}

function bytesOf({ pieces, length }: OutputEvent): Buffer {
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces, length)
}

const jsonHeads: Record<OutputKind, string> = {
  stdout: '{"event":{"data":{"stdout":"',
  stderr: '{"event":{"data":{"stderr":"',
  pty: '{"event":{"data":{"pty":"',
}
const jsonTail = '"}}}'

/** All events in one buffer, which nothing but base64's own text is copied into. */
function encodeJson(events: readonly OutputEvent[]): Buffer {
  let length = 0
  for (const event of events) length += envelopeHeadBytes + jsonLength(event)
  const target = Buffer.allocUnsafe(length)
  let at = 0
  for (const event of events) {
    at = writeEnvelopeHead(target, 0, jsonLength(event), at)
    at += target.write(jsonHeads[event.kind], at, 'latin1')
    at += target.write(bytesOf(event).toString('base64'), at, 'latin1')
    at += target.write(jsonTail, at, 'latin1')
  }
  return target
}

function jsonLength({ kind, length }: OutputEvent): number {
  return jsonHeads[kind].length + Math.ceil(length / 3) * 4 + jsonTail.length
}

/** Tags: field number and wire type 2 (a length, and as many bytes). */
const tagOfEvent = (1 << 3) | 2
const tagOfData = (2 << 3) | 2
const tagsOfOutput: Record<OutputKind, number> = {
  stdout: (1 << 3) | 2,
  stderr: (2 << 3) | 2,
  pty: (3 << 3) | 2,
}

/** An event as one buffer, or as its head and its own bytes, uncopied. */
function encodeProto(event: OutputEvent): Buffer[] {
  const dataLength = 1 + varintLength(event.length) + event.length
  const eventLength = 1 + varintLength(dataLength) + dataLength
  const messageLength = 1 + varintLength(eventLength) + eventLength
  const isCopied = event.length <= copyMaxBytes
  const headLength = envelopeHeadBytes + messageLength - event.length
  const target = Buffer.allocUnsafe(headLength + (isCopied ? event.length : 0))
  let at = writeEnvelopeHead(target, 0, messageLength)
  at = writeField(target, at, tagOfEvent, eventLength)
  at = writeField(target, at, tagOfData, dataLength)
  at = writeField(target, at, tagsOfOutput[event.kind], event.length)
  if (!isCopied) return [target, ...event.pieces]
  for (const piece of event.pieces) at += piece.copy(target, at)
  return [target]
}

function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest > 0x7f; rest >>>= 7) length++
  return length
}

function writeField(target: Buffer, start: number, tag: number, length: number): number {
  let at = target.writeUInt8(tag, start)
  let rest = length
  for (; rest > 0x7f; rest >>>= 7) at = target.writeUInt8((rest & 0x7f) | 0x80, at)
  return target.writeUInt8(rest, at)
}
