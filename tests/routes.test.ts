/** The specification, the routes and the tables of docs/compat.md name the same operations. */
import { expect, test } from 'vitest'
import { operations } from '../src/wire/openapi.ts'
import { readTemplate } from './conformance/compat/files.ts'
import { startApi } from './support/api.ts'

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** An operation, whatever its parameters are called. */
const shape = (method: string, path: string) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`

test('exactly the operations of the specification are routed', async () => {
  await using api = await startApi()
  await api.app.ready()
  const all = operations().map(({ method, path }) => `${method} ${path}`)
  expect(all.length).toBeGreaterThan(60)
  const paths = [...new Set(operations().map(({ path }) => path))]
  const routed = paths.flatMap((path) =>
    methods
      .filter((method) => api.app.hasRoute({ method, url: path.replaceAll(/\{(\w+)\}/g, ':$1') }))
      .map((method) => `${method} ${path}`),
  )
  expect(routed.toSorted()).toEqual(all.toSorted())
})

test('docs/compat.md says something of every operation, and of no other', () => {
  const tables = readTemplate()
    .split(/^## /m)
    .find((section) => section.startsWith('REST'))!
  const cells = [...tables.matchAll(/^\| (`.*?) \|/gm)].map(([, cell]) => cell!)
  const told: string[] = []
  for (const cell of cells) {
    // Of `GET`, `POST /nodes/{id}` the path is that of both.
    let before: string[] = []
    for (const [, method = '', path] of cell.matchAll(/`([A-Z]+)(?: (\/[^`]*))?`/g)) {
      before.push(method)
      if (path === undefined) continue
      told.push(...before.map((each) => shape(each, path)))
      before = []
    }
  }
  const all = operations().map(({ method, path }) => shape(method, path))
  expect(told.toSorted()).toEqual(all.toSorted())
})
