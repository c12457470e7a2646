/**
 * Reads the fields of a JSON object that an agent sent. The object is hostile: each accessor checks what it returns
 * and raises a protocol violation naming the field.
 */
import { checkJsonBounds, type JsonBounds } from '../lib/json-bounds.ts'
import { protocolViolation } from './frames.ts'

/** More than any object that an agent sends has: a process's command line and environment, a file's metadata. */
export const jsonBounds: JsonBounds = { membersMax: 20_000, depthMax: 16 }

export interface Fields {
  string(name: string): string
  optionalString(name: string): string | undefined
  boolean(name: string): boolean
  /** An integer within the bounds, both inclusive */
  integer(name: string, min: number, max: number): number
  /** Finite */
  number(name: string): number
  stringMap(name: string): Record<string, string>
  strings(name: string): string[]
  object(name: string): Fields
  has(name: string): boolean
}

/** Parses a JSON payload, or a part of one, within `jsonBounds`. */
export function parseFields(payload: Buffer, what = 'payload'): Fields {
  let value: unknown
  try {
    checkJsonBounds(payload, jsonBounds)
    value = JSON.parse(payload.toString('utf8'))
  } catch (thrown) {
    throw protocolViolation(thrown instanceof RangeError ? thrown.message : 'payload that is not JSON')
  }
  return fieldsOf(value, what)
}

function fieldsOf(value: unknown, what: string): Fields {
  const object = asObject(value, what)
  const read = <T>(name: string, kind: string, is: (field: unknown) => field is T): T => {
    const field = object[name]
    if (!is(field)) throw protocolViolation(`${what}.${name} is not ${kind}`)
    return field
  }
  return {
    string: (name) => read(name, 'a string', isString),
    optionalString: (name) => (isAbsent(object[name]) ? undefined : read(name, 'a string', isString)),
    boolean: (name) => read(name, 'a boolean', isBoolean),
    number: (name) => read(name, 'a finite number', isFiniteNumber),
    integer(name, min, max) {
      const isWithin = (field: unknown): field is number =>
        Number.isSafeInteger(field) && (field as number) >= min && (field as number) <= max
      return read(name, `an integer in ${min} … ${max}`, isWithin)
    },
    strings: (name) => read(name, 'an array of strings', isStrings),
    stringMap(name) {
      const entries = Object.entries(asObject(object[name], `${what}.${name}`))
      const strings = entries.map(([key, field]) => {
        if (!isString(field)) throw protocolViolation(`${what}.${name} has a value that is not a string`)
        return [key, field] as const
      })
      return Object.fromEntries(strings)
    },
    object: (name) => fieldsOf(object[name], `${what}.${name}`),
    has: (name) => !isAbsent(object[name]),
  }
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw protocolViolation(`${what} is not an object`)
  }
  return value as Record<string, unknown>
}

const isAbsent = (value: unknown): value is null | undefined => value === undefined || value === null
const isString = (value: unknown): value is string => typeof value === 'string'
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean'
const isFiniteNumber = (value: unknown): value is number => Number.isFinite(value)
const isArray = (value: unknown): value is unknown[] => Array.isArray(value)
const isStrings = (value: unknown): value is string[] => isArray(value) && value.every(isString)
