/** Which layers go, and what comes before or after that. */
import { expect, test } from 'vitest'
import type { LayerHost } from '../domain/layers.ts'
import { systemClock } from '../lib/clock.ts'
import { createLayerKeeper } from './layer-keeper.ts'

const patience = () => AbortSignal.timeout(20_000)

/** Of layers that no image has. */
function keeperOf(removeLayer: LayerHost['removeLayer']) {
  return createLayerKeeper({ removeLayer } as LayerHost, () => false, systemClock())
}

test('a layer that is being removed is made again after that', async () => {
  const done: string[] = []
  let end = () => {}
  const keeper = keeperOf(async () => {
    await new Promise<void>((resolve) => (end = resolve))
    done.push('removed')
  })
  const make = async () => done.push('made')
  const both = [keeper.release(['one'], patience()), keeper.make('one', make, patience())]
  end()
  await Promise.all(both)
  expect(done).toEqual(['removed', 'made'])
})

test('a layer that somebody holds by its turn stays', async () => {
  const removed: string[] = []
  const keeper = keeperOf(async (name) => {
    removed.push(name)
    keeper.hold(['below'])
  })
  await keeper.release(['below', 'top'], patience())
  expect(removed).toEqual(['top'])
})
