import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { ConfigError } from '../config.ts'
import { recipesFolder } from '../installation.ts'
import { readRecipes } from './recipes.ts'

const base = { name: 'base', identity: 'image:1' }

/** A folder of recipes: what each file has, by its path. */
function recipes(files: Record<string, string | object>): AsyncDisposable & { folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-recipes-'))
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return { folder, [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }) }
}

test('the recipes that come with the server can be read, and are of base or of each other', async () => {
  const { recipes: all } = await readRecipes([recipesFolder()], base)
  for (const recipe of all) {
    expect(recipe.digest).toMatch(/^[0-9a-f]{12}$/)
    expect((await recipe.read()).length).toBeGreaterThan(2)
  }
})

test('a recipe is its template.json, its Dockerfile and what that copies; what .dockerignore leaves out changes nothing', async () => {
  const files = {
    'one/template.json': { names: ['one-v1', 'one'], startCommand: 'serve', readyCommand: 'true' },
    'one/Dockerfile': 'FROM base\nCOPY app /opt/app\nRUN /opt/app/setup',
    'one/.dockerignore': '**/*.txt\n!app/kept.txt\n',
    'one/app/setup': 'echo hello',
    'one/app/kept.txt': 'kept',
    'one/app/left.txt': 'left out',
    'two/template.json': { names: ['two'], cpuCount: 4, memoryMb: 4096 },
    'two/Dockerfile': 'FROM one-v1',
  }
  const read = async (more: Record<string, string> = {}, identity = 'image:1') => {
    await using made = recipes({ ...files, ...more })
    const { recipes: all, openFile } = await readRecipes([made.folder], { ...base, identity })
    const [first] = all
    const step = (await first!.read()).find(({ type }) => type === 'COPY')
    const archive = step?.type === 'COPY' ? await buffer(await openFile(step.filesHash)) : Buffer.alloc(0)
    return { all, archive, digests: all.map(({ digest }) => digest) }
  }
  const { all, archive, digests } = await read()
  expect(all).toMatchObject([
    {
      name: 'one-v1',
      aliases: ['one-v1', 'one'],
      from: 'base',
      cpuCount: 2,
      memoryMb: 1024,
      startCmd: 'serve',
    },
    { name: 'two', from: 'one-v1', cpuCount: 4, memoryMb: 4096, startCmd: null, readyCmd: null },
  ])
  for (const name of ['app/setup', 'app/kept.txt']) expect(archive.includes(name)).toBe(true)
  expect(archive.includes('left')).toBe(false)
  expect((await read({ 'one/app/left.txt': 'other' })).digests).toEqual(digests)
  // What a recipe is made of is a part of it.
  const changes = [{ 'one/app/kept.txt': 'other' }, { 'one/Dockerfile': 'FROM base\nCOPY app /opt/app' }, {}]
  for (const [place, change] of changes.entries()) {
    const other = await read(change, place === 2 ? 'image:2' : undefined)
    expect(other.digests.filter((digest) => digests.includes(digest))).toEqual([])
  }
})

test('a recipe that can’t be used is refused with its folder and the reason', async () => {
  const good = { names: ['good'] }
  const faults: [Record<string, string | object>, RegExp][] = [
    [{ 'a/template.json': '{' }, /\/a can't be used: template\.json/],
    [{ 'a/template.json': { names: ['A b'] }, 'a/Dockerfile': 'FROM base' }, /names/],
    [{ 'a/template.json': { ...good, cpus: 2 }, 'a/Dockerfile': 'FROM base' }, /cpus/],
    [{ 'a/template.json': { ...good, from: 'other' }, 'a/Dockerfile': 'FROM base' }, /its FROM is "base"/],
    [{ 'a/template.json': good }, /no Dockerfile/],
    [{ 'a/template.json': good, 'a/Dockerfile': 'FROM debian:12' }, /its FROM is "debian:12".*base, good/],
    [{ 'a/template.json': good, 'a/Dockerfile': 'FROM good' }, /made of itself/],
    [{ 'a/template.json': good, 'a/Dockerfile': 'FROM base\nCMD serve' }, /startCommand/],
    [{ 'a/template.json': good, 'a/Dockerfile': 'FROM base\nHEALTHCHECK CMD true' }, /HEALTHCHECK/],
    [{ 'a/template.json': { names: ['base'] }, 'a/Dockerfile': 'FROM base' }, /the name "base"/],
  ]
  for (const [files, reason] of faults) {
    await using made = recipes(files)
    const reading = readRecipes([made.folder], base)
    await expect(reading, String(reason)).rejects.toThrow(ConfigError)
    await expect(reading).rejects.toThrow(reason)
  }
  await expect(readRecipes(['/nowhere'], base)).rejects.toThrow('/nowhere')
  await using gone = recipes({ 'a/template.json': good, 'a/Dockerfile': 'FROM base\nCOPY nothing /' })
  const [recipe] = (await readRecipes([gone.folder], base)).recipes
  await expect(recipe!.read()).rejects.toMatchObject({ code: 'failed_precondition' })
})
