import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { removeTree } from './remove-tree.ts'

const never = new AbortController().signal
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remove-'))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

test('removes what is nested beyond the longest path', async () => {
  const tree = join(directory, 'tree')
  await mkdir(tree)
  const nest = 'import os\nfor _ in range(600):\n  os.mkdir("d" * 20)\n  os.chdir("d" * 20)'
  execFileSync('python3', ['-c', nest], { cwd: tree })
  await removeTree(tree, never)
  expect(existsSync(tree)).toBe(false)
})

test('a great many files cost this process no memory', async () => {
  const tree = join(directory, 'tree')
  await mkdir(tree)
  execFileSync('python3', ['-c', 'for i in range(30000): open("f%d" % i, "w").close()'], { cwd: tree })
  const before = process.memoryUsage().rss
  await removeTree(tree, never)
  expect(existsSync(tree)).toBe(false)
  expect(process.memoryUsage().rss - before).toBeLessThan(16 * 1024 * 1024)
})

test('follows no link', async () => {
  const kept = join(directory, 'kept')
  await mkdir(kept)
  await writeFile(join(kept, 'file'), '')
  await mkdir(join(directory, 'tree'))
  await symlink(kept, join(directory, 'tree', 'link'))
  await removeTree(join(directory, 'tree'), never)
  expect(existsSync(join(kept, 'file'))).toBe(true)
})

test('removing nothing succeeds', async () => {
  await expect(removeTree(join(directory, 'nothing'), never)).resolves.toBeUndefined()
})
