import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FastifyInstance } from 'fastify'
import { ServerError } from '../../domain/error.ts'
import { openapi } from '../../wire/openapi.ts'

/**
 * Validates bodies and queries against spec/openapi.yml. Types in bodies are never coerced (`"300"` is not a number);
 * queries are text, so numbers in them are, where they are written with digits alone. Unknown fields are let through, as
 * newer clients may send them.
 */
export function addValidation(app: FastifyInstance): void {
  const body = validator(false)
  const query = validator(true)
  app.setValidatorCompiler(({ schema, httpPart }) => {
    if (httpPart === 'body') return body.compile(schema as object)
    const validate = query.compile(schema as object)
    const integers = integersOf(schema as { $ref?: string })
    return (data: Record<string, unknown>) => {
      const error = refuseOtherNotations(data, integers)
      if (error !== undefined) return { error }
      return validate(data) ? { value: data } : { error: validate.errors ?? [] }
    }
  })
}

function validator(coerceTypes: boolean): Ajv2020 {
  const ajv = new Ajv2020({ coerceTypes, useDefaults: true, allowUnionTypes: true })
  addFormats.default(ajv, ['date-time'])
  // The document's own members are no rules of its schemas.
  ajv.addVocabulary(Object.keys(openapi))
  ajv.addSchema(openapi, 'openapi')
  return ajv
}

/** Names of a schema's integers; it is one of the document's. */
function integersOf({ $ref = '' }: { $ref?: string }): string[] {
  const schemas: Record<string, object> = openapi.components.schemas
  const schema = schemas[$ref.slice($ref.lastIndexOf('/') + 1)] ?? {}
  const properties: object = 'properties' in schema ? (schema.properties as object) : {}
  return Object.entries(properties)
    .filter(([, { type }]: [string, { type?: unknown }]) => type === 'integer')
    .map(([name]) => name)
}

/** JavaScript reads `1e3`, `0x10` and ` 7 ` as integers too, which no other server does. */
function refuseOtherNotations(data: Record<string, unknown>, integers: string[]): ServerError | undefined {
  const wrong = integers.find((name) => {
    const value = data[name]
    return typeof value === 'string' && !/^-?\d+$/.test(value)
  })
  if (wrong === undefined) return undefined
  return new ServerError('invalid_argument', `'${wrong}' in the request query must be an integer.`)
}
