import { openapi } from './gen/openapi.ts'

/** One operation of the REST API, as spec/openapi.yml lists it. */
export interface Operation {
  /** Upper-case HTTP method */
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path with parameters in braces */
  path: string
  /** Known to E2B's clients, answered 501 here */
  unimplemented: boolean
}

type PathItem = Record<string, { 'x-unimplemented'?: boolean }>

/** Every operation of the document, in its order. */
export function operations(): Operation[] {
  return Object.entries(openapi.paths as Record<string, PathItem>).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method: method.toUpperCase() as Operation['method'],
      path,
      unimplemented: operation['x-unimplemented'] === true,
    })),
  )
}

/** A JSON Schema that refers to one of the document's components by name. */
export function schemaRef(name: keyof typeof openapi.components.schemas): { $ref: string } {
  return { $ref: `openapi#/components/schemas/${name}` }
}

export { openapi }
