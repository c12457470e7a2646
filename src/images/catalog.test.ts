/** What a catalog knows of images, where the disk takes no more. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createCatalog, recordOf } from './catalog.ts'

const config = { env: {}, user: '', workdir: '/', labels: {}, architecture: 'amd64', os: 'linux' }
const imageOf = (image: string, layer: string) =>
  recordOf(image, { layers: [{ name: layer, sizeBytes: 1 }], config, isOwn: false })
/** Can't be written: it fails before it has taken another's place. */
const unwritable = (image: string, layer: string) => ({
  ...imageOf(image, layer),
  toJSON() {
    throw new Error('no space')
  },
})

test('an image that could not be made anew is there as it was, and needs its layers', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'e2b-catalog-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const options = { folder, sharedFolder: undefined, isReadOnly: false, layersThere: async () => [] }
  const catalog = createCatalog(options)
  const before = imageOf('image', 'one')
  await catalog.put(before)
  await expect(catalog.put(unwritable('image', 'two'))).rejects.toThrow('no space')
  expect([...(await catalog.own()).values()]).toEqual([before])
  expect([catalog.layerNamed('one'), catalog.layerNamed('two')]).toEqual([before.layers[0], undefined])

  await expect(catalog.put(unwritable('other', 'two'))).rejects.toThrow('no space')
  expect(await catalog.find('other')).toBeUndefined()
  expect(await createCatalog(options).find('image')).toEqual(before)
})
