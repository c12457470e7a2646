import { expect, test } from 'vitest'
import { anySandbox, startControl } from '../../tests/support/control.ts'
import type { BuildStore } from '../domain/template-build.ts'
import type { ControlContext } from './context.ts'
import { createSandbox } from './create-sandbox.ts'
import { deleteTemplate } from './delete-template.ts'
import { forkSandbox } from './fork-sandbox.ts'
import { killSandbox } from './kill-sandbox.ts'
import { listSnapshots } from './list-snapshots.ts'
import { pauseSandbox } from './pause-sandbox.ts'
import { reconcile } from './reconcile.ts'
import { snapshotSandbox } from './snapshot-sandbox.ts'

const signal = () => AbortSignal.timeout(30_000)
const options = () => ({ signal: signal(), phase: () => {} })
const create = (control: ControlContext, template = 'base') =>
  createSandbox(control, { ...anySandbox, template }, options())
const snapshot = (control: ControlContext, ref: { teamId: string; id: string }, name?: string) =>
  snapshotSandbox(control, ref, { name, memory: undefined }, { signal: signal() })
const listed = async (control: ControlContext, name?: string) =>
  (
    await listSnapshots(control, { teamId: 'team', limit: 100, ...(name !== undefined && { name }) })
  ).snapshots.map(({ snapshotId }) => snapshotId)

test('snapshots go by id and by name, in lower case, with tags; a name goes over to the newest', async () => {
  await using parts = await startControl()
  const { control } = parts
  const source = await create(control)
  const unnamed = await snapshot(control, source)
  const first = await snapshot(control, source, 'Mine')
  const tagged = await snapshot(control, source, 'team/mine:v2')
  expect(unnamed).toMatchObject({ names: [], snapshotId: expect.stringMatching(/^[a-z0-9]{20}:default$/) })
  expect(first).toMatchObject({ snapshotId: 'team/mine:default', names: ['team/mine'] })
  expect(tagged.snapshotId).toBe('team/mine:v2')
  const newer = await snapshot(control, source, 'mine')
  expect(newer.snapshotId).toBe(first.snapshotId)
  expect(await listed(control)).toEqual(['team/mine:default', unnamed.snapshotId])
  expect(await listed(control, 'mine')).toEqual(['team/mine:default'])
  expect(await listed(control, 'team/mine:v2')).toEqual(['team/mine:v2'])
  expect(await listed(control, unnamed.snapshotId)).toEqual([unnamed.snapshotId])
  const onOnePage = { teamId: 'team', limit: 1, name: unnamed.snapshotId.split(':')[0]! }
  for (const [sandboxId, count] of [
    [source.id, 1],
    ['iother', 0],
  ] as const) {
    expect((await listSnapshots(control, { ...onOnePage, sandboxId })).snapshots).toHaveLength(count)
  }
  expect((await listSnapshots(control, { ...onOnePage, teamId: 'other' })).snapshots).toEqual([])
  for (const nothing of ['none', 'other/mine', 'mine:v3', 'no name at all'])
    expect(await listed(control, nothing)).toEqual([])
  const copy = await create(control, 'mine')
  expect(copy.templateId).toBe(newer.template.id)
  expect(copy.buildId).toBe(newer.build.id)
  // The one that was superseded is nobody's, and goes.
  await reconcile(control, signal())
  expect(await parts.runtime.images.list(signal())).toHaveLength(3)
})

test('pages of snapshots have each name once, and deleting a tag deletes its name', async () => {
  await using parts = await startControl()
  const { control } = parts
  const source = await create(control)
  const other = await create(control)
  for (const name of ['one:v1', 'two', 'one:v2']) await snapshot(control, source, name)
  const { snapshotId: unnamed } = await snapshot(control, source)
  await snapshot(control, other, 'two:v2')
  const pages: string[][] = []
  let after: { createdAt: number; id: string } | undefined
  do {
    const page = await listSnapshots(control, { teamId: 'team', limit: 1, ...(after && { after }) })
    pages.push(page.snapshots.map(({ snapshotId }) => snapshotId))
    after = page.more ? page.snapshots.at(-1)!.build : undefined
  } while (after !== undefined)
  expect(pages).toEqual([['team/two:v2'], [unnamed], ['team/one:v2']])
  const ofSource = await listSnapshots(control, { teamId: 'team', sandboxId: source.id, limit: 9 })
  expect(ofSource.snapshots.map(({ snapshotId }) => snapshotId)).toEqual([
    unnamed,
    'team/one:v2',
    'team/two:default',
  ])

  const copy = await create(control, 'one:v1')
  const drop = (identifier: string) => deleteTemplate(control, { teamId: 'team', identifier }, signal())
  await expect(drop('one:v2')).rejects.toMatchObject({ code: 'invalid_argument' })
  await killSandbox(control, copy, signal())
  await drop('team/one:v2')
  expect(await listed(control)).toEqual(['team/two:v2', unnamed])
  await expect(drop('one:v1')).rejects.toMatchObject({ code: 'not_found' })
  await drop(unnamed)
  await drop('two:any')
  expect(await listed(control)).toEqual([])
  expect(await parts.runtime.images.list(signal())).toEqual([])
})

test('bad names, another namespace, memory where there is none', async () => {
  await using parts = await startControl()
  const source = await create(parts.control)
  for (const name of ['', 'with space', 'a/b/c', 'x'.repeat(129), 'other/mine']) {
    await expect(snapshot(parts.control, source, name)).rejects.toMatchObject({ code: 'invalid_argument' })
  }
  await expect(
    snapshotSandbox(parts.control, source, { name: undefined, memory: true }, { signal: signal() }),
  ).rejects.toMatchObject({ code: 'unimplemented', message: expect.stringContaining('memorySnapshot') })
  await expect(snapshot(parts.control, { ...source, teamId: 'other' })).rejects.toMatchObject({
    code: 'not_found',
  })
})

test('a snapshot in use stays; one that is deleted is gone, for its team only', async () => {
  await using parts = await startControl()
  const { control } = parts
  const { snapshotId } = await snapshot(control, await create(control), 'mine')
  const copy = await create(control, snapshotId)
  const drop = (teamId = 'team') => deleteTemplate(control, { teamId, identifier: snapshotId }, signal())
  await expect(drop('other')).rejects.toMatchObject({ code: 'not_found' })
  await expect(drop()).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('paused or running'),
  })
  await killSandbox(control, copy, signal())
  await drop()
  await expect(drop()).rejects.toMatchObject({ code: 'not_found' })
  await expect(
    deleteTemplate(control, { teamId: 'team', identifier: 'base' }, signal()),
  ).rejects.toMatchObject({
    code: 'not_found',
  })
  expect(await parts.runtime.images.list(signal())).toEqual([])
})

test('a snapshot that fails leaves the source running and nothing behind', async () => {
  await using parts = await startControl({ faults: { failSnapshot: true } })
  const source = await create(parts.control)
  await expect(snapshot(parts.control, source)).rejects.toMatchObject({ code: 'internal' })
  expect((await parts.control.store.sandboxes.find(source.id))?.state).toBe('running')
  expect(parts.directory.find(source.id)).toBeDefined()
  expect(await parts.control.store.builds.list({ isSnapshot: true })).toEqual([])
})

test('a copy whose end is not known for sure is never found complete without its image', async () => {
  await using parts = await startControl()
  const source = await create(parts.control)
  const { store } = parts.control
  const fails = async () => {
    throw new Error('disk I/O error')
  }
  const builds: BuildStore = {
    ...store.builds,
    complete: async (...outcome) => {
      await store.builds.complete(...outcome)
      await fails()
    },
    remove: fails,
  }
  const control = { ...parts.control, store: { ...store, builds } }
  await expect(snapshot(control, source)).rejects.toThrow()
  const [left] = await store.builds.list({ isSnapshot: true })
  expect(left?.status).toBe('ready')
  expect(await parts.runtime.images.inspect(left!.image!, signal())).toBeDefined()
  expect((await store.sandboxes.find(source.id))?.state).toBe('running')
})

test('forks start or fail each by itself, and their copy goes with the last of them', async () => {
  await using parts = await startControl()
  const { control } = parts
  const source = await create(control)
  const results = await forkSandbox(control, source, { timeoutS: 60, count: 3 }, options())
  const forks = results.flatMap((result) => ('sandbox' in result ? [result.sandbox] : []))
  expect(forks).toHaveLength(3)
  expect(await listed(control)).toEqual([])
  const [created] = await control.store.events.list({ sandboxId: forks[0]!.id, limit: 1 })
  expect(created?.detail).toMatchObject({ forkOf: source.id })
  for (const [index, fork] of forks.entries()) {
    await reconcile(control, signal())
    expect(await parts.runtime.images.list(signal())).toHaveLength(1)
    await killSandbox(control, fork, signal())
    if (index === forks.length - 1) await reconcile(control, signal())
  }
  expect(await parts.runtime.images.list(signal())).toEqual([])
  await expect(
    forkSandbox(control, { teamId: 'other', id: source.id }, { timeoutS: 60, count: 1 }, options()),
  ).rejects.toMatchObject({ code: 'not_found' })
})

test('what is paused is not forked', async () => {
  await using parts = await startControl()
  const { control } = parts
  const source = await create(control)
  await pauseSandbox(control, source, { memory: false }, signal())
  const fork = () => forkSandbox(control, source, { timeoutS: 60, count: 1 }, options())
  await expect(fork()).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('resume it'),
  })
  await killSandbox(control, source, signal())
  await expect(fork()).rejects.toMatchObject({ code: 'not_found' })
})
