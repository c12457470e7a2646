import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createPrebuilt } from './prebuilt.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

const sha256 = (text) => createHash('sha256').update(text).digest('hex')

/** A folder with two files, one of which isn't what the list says. */
function folder() {
  const place = temporaryFolder()
  const files = [
    { key: 'one-x64', file: 'one', sha256: sha256('the one') },
    { key: 'two-x64', file: 'two', sha256: sha256('the two') },
  ]
  writeFileSync(join(place, 'one'), 'the one')
  writeFileSync(join(place, 'two'), 'another')
  writeFileSync(join(place, 'prebuilt.json'), JSON.stringify({ files }))
  return place
}

async function published(place) {
  const server = createServer(({ url }, res) => {
    const file = join(place, url)
    if (existsSync(file)) res.end(readFileSync(file))
    else res.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${server.address().port}`
}

test.each(['a folder', 'an address'])(
  'what is listed is taken from %s, and nothing that is not what the list says',
  async (kind) => {
    const place = folder()
    const list = sha256(readFileSync(join(place, 'prebuilt.json')))
    const source = kind === 'a folder' ? place : `${await published(place)}/#sha256=${list}`
    const said = []
    const prebuilt = createPrebuilt(source, (line) => said.push(line))
    const target = join(temporaryFolder(), 'deep', 'file')
    expect(await prebuilt.take('three-x64', target)).toBe(false)
    expect(await prebuilt.take('two-x64', target)).toBe(false)
    expect(existsSync(target)).toBe(false)
    expect(said).toEqual([
      expect.stringContaining('no ready-made three-x64 for these sources'),
      expect.stringContaining("two can't be had ready-made (it is not the file that the list names)"),
    ])
    expect(await prebuilt.take('one-x64', target)).toBe(true)
    expect(readFileSync(target, 'utf8')).toBe('the one')
  },
)

test('a list that is not the one that was named is refused, and without a source nothing is taken', async () => {
  const address = await published(folder())
  const take = (source) => createPrebuilt(source).take('one-x64', join(temporaryFolder(), 'file'))
  await expect(take(`${address}#sha256=${'0'.repeat(64)}`)).rejects.toThrow(/not the one that #sha256= names/)
  await expect(take(address)).rejects.toThrow(/needs #sha256=/)
  await expect(take(join(temporaryFolder(), 'none'))).rejects.toThrow(/can't be had/)
  expect(await take('')).toBe(false)
})
