import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { FastifyInstance } from 'fastify'
import { openapi } from '../../wire/openapi.ts'

/**
 * Validates bodies and queries against spec/openapi.yml. Types in bodies are never coerced (`"300"` is not a number);
 * queries are text, so numbers in them are. Unknown fields are let through, as newer clients may send them.
 */
export function addValidation(app: FastifyInstance): void {
  const body = validator(false)
  const query = validator(true)
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? body : query).compile(schema as object),
  )
}

function validator(coerceTypes: boolean): Ajv2020 {
  const ajv = new Ajv2020({ coerceTypes, useDefaults: true, allowUnionTypes: true })
  addFormats.default(ajv, ['date-time'])
  // The document's own members are no rules of its schemas.
  ajv.addVocabulary(Object.keys(openapi))
  ajv.addSchema(openapi, 'openapi')
  return ajv
}
