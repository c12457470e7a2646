import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ServerError } from '../domain/error.ts'
import { elementsOf } from './elements.ts'

const numbersOf = (text: string) =>
  [...elementsOf(Buffer.from(text), 'items')].map((fields) => fields.integer('n', 0, 99))

describe('elements', () => {
  it('are those of the array, wherever it is', () => {
    expect(numbersOf('{"items":[]}')).toEqual([])
    expect(
      numbersOf(' { "x" : [ {"items":[9]} , "]" ] , "items" : [ {"n":1} , { "n" : 2 } ] , "y":1 } '),
    ).toEqual([1, 2])
    const objects = fc.array(fc.record({ n: fc.nat(99), text: fc.string(), more: fc.jsonValue() }))
    fc.assert(
      fc.property(objects, (items) => {
        expect(numbersOf(JSON.stringify({ more: items, items }))).toEqual(items.map(({ n }) => n))
      }),
    )
  })

  it.each([
    '',
    '[]',
    '{}',
    '{"items"}',
    '{"items":1}',
    '{"items":{}}',
    '{"items":[1]}',
    '{"items":[{"n":1}',
    '{"items":[{"n":1},',
    '{"items":[{"n":1} {"n":1}]}',
    '{"items":[,]}',
    '{"items":[{"n":1]}]}',
    `{${'"x":1,'.repeat(100)}"items":[]}`,
    `{"items":[${'['.repeat(100)}]}`,
  ])('of %s are a violation', (text) => {
    expect(() => numbersOf(text)).toThrow(ServerError)
  })

  it('cost nothing before they are asked for', () => {
    const million = Buffer.from(`{"items":[{"n":1},${'{},'.repeat(1_300_000)}{}]}`)
    let taken = 0
    const take = () => {
      for (const fields of elementsOf(million, 'items')) {
        fields.integer('n', 0, 99)
        taken++
      }
    }
    expect(take).toThrow(ServerError)
    expect(taken).toBe(1)
  })
})
