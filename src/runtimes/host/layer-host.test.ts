import { expect, test } from 'vitest'
import type { Answer } from './answers.ts'
import { createLayerHost } from './layer-host.ts'

/** A helper with these layers, which gives two at a time at most. */
function hostOf(names: string[]) {
  const asked: Answer[] = []
  const call = async (_op: string, fields: Answer) => {
    asked.push(fields)
    const behind = names.filter((name) => name > String(fields.after ?? ''))
    return { layers: behind.slice(0, 2), more: behind.length > 2 }
  }
  return { host: createLayerHost('/nowhere', { call }), asked }
}

test('a list of layers is asked for in pages, to its end', async () => {
  const { host, asked } = hostOf(['a', 'b', 'c', 'd', 'e'])
  expect(await host.layers(AbortSignal.timeout(60_000))).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(asked).toEqual([{ limit: 4096 }, { limit: 4096, after: 'b' }, { limit: 4096, after: 'd' }])
  expect(await hostOf([]).host.sharedLayers(AbortSignal.timeout(60_000))).toEqual([])
})

test('a page without names that says there are more is a fault, not a loop', async () => {
  const { layers } = createLayerHost('/nowhere', { call: async () => ({ layers: [], more: true }) })
  await expect(layers(AbortSignal.timeout(60_000))).rejects.toMatchObject({ code: 'internal' })
})
