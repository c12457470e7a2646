import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

async function readTree(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const texts = paths.map(async (path) => [path.slice(folder.length), await readFile(path, 'utf8')] as const)
  return Object.fromEntries(await Promise.all(texts))
}

it('src/wire/gen/envd is what "npm run gen" makes of spec/envd', { timeout: 120_000 }, async () => {
  const output = await mkdtemp(join(tmpdir(), 'e2b-gen-'))
  try {
    const buf = join(root, 'node_modules/.bin/buf')
    await promisify(execFile)(buf, ['generate', '--output', output], { cwd: root })
    const made = await readTree(join(output, 'src/wire/gen/envd'))
    expect(Object.keys(made)).toHaveLength(2)
    expect(await readTree(join(root, 'src/wire/gen/envd'))).toEqual(made)
  } finally {
    await rm(output, { recursive: true, force: true })
  }
})
