import type { FastifySchemaValidationError } from 'fastify'

const typeNames: Record<string, string> = {
  array: 'an array',
  boolean: 'true or false',
  integer: 'an integer',
  null: 'null',
  number: 'a number',
  object: 'an object',
  string: 'a string',
}

/**
 * What to change about a request that its schema doesn't allow, as a sentence that names the field.
 * `where`: the part of the request that the violation is about.
 */
export function violationSentence(
  { instancePath, keyword, params, message }: FastifySchemaValidationError,
  where: 'body' | 'query',
): string {
  const field = instancePath.slice(1).replaceAll('/', '.')
  const whole = where === 'body' ? 'The request body' : 'The query'
  const subject = field === '' ? whole : `'${field}' in the request ${where}`
  switch (keyword) {
    case 'required':
      return `${subject} has no '${params.missingProperty}', which is required.`
    case 'type':
      return field === '' && params.type === 'object'
        ? `${whole} must be a JSON object.`
        : `${subject} must be ${[params.type].flat().map(String).map(withArticle).join(' or ')}.`
    case 'enum':
      return `${subject} must be one of ${(params.allowedValues as unknown[]).map((value) => JSON.stringify(value)).join(', ')}.`
    case 'minLength':
      return `${subject} must have at least ${count(params.limit, 'character')}.`
    case 'maxLength':
      return `${subject} must have at most ${count(params.limit, 'character')}.`
    case 'minItems':
      return `${subject} must have at least ${count(params.limit, 'item')}.`
    case 'maxItems':
      return `${subject} must have at most ${count(params.limit, 'item')}.`
    case 'format':
      return params.format === 'date-time'
        ? `${subject} must be a date with time and zone, such as 2026-01-31T12:00:00Z.`
        : `${subject} ${message}.`
    default:
      return `${subject} ${message}.`
  }
}

function withArticle(type: string): string {
  return typeNames[type] ?? type
}

function count(limit: unknown, noun: string): string {
  return `${limit} ${noun}${limit === 1 ? '' : 's'}`
}
