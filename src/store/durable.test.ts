import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { NewLifecycleEvent } from '../domain/lifecycle-event.ts'
import { openSqliteStore } from './dialects/sqlite.ts'
import { sandbox } from './sandbox.fixture.ts'

const event: NewLifecycleEvent = {
  ...{ teamId: 'red', sandboxId: 'ione', templateId: 'base', type: 'paused' },
  ...{ at: 1, reason: null, detail: {} },
}

test('what is lazily done to sandboxes doesn’t wait for the disk, nor does who reads; all else does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-store-'))
  let disk = Promise.resolve()
  let release = () => {}
  const store = await openSqliteStore({ path: join(folder, 'state.db'), sync: () => disk })
  disk = new Promise((resolve) => {
    release = resolve
  })

  const { sandboxes } = store
  await sandboxes.create(sandbox({ id: 'ione' }))
  await sandboxes.create(sandbox({ id: 'itwo', state: 'running' }), event)
  await sandboxes.update('ione', { state: 'running' }, { lazily: true })
  await sandboxes.update('ione', { state: 'killing' }, { from: 'running', event, lazily: true })
  await sandboxes.remove('ione')
  await store.forkBuilds.remove('ione')
  expect(await store.teams.find('red')).toBeUndefined()

  const red = { id: 'red', name: 'Red', slug: 'red', createdAt: 1, limits: {} }
  const waiting = [store.teams.create(red), sandboxes.update('itwo', { endAt: 1 }), store.durable()]
  let done = 0
  for (const each of waiting) void each.then(() => done++)
  await expect.poll(async () => (await sandboxes.find('itwo'))?.endAt).toBe(1)
  expect(done).toBe(0)
  release()
  await Promise.all(waiting)
  await store.close()
  rmSync(folder, { recursive: true })
})

test('what a sync that failed was about is safe in the database itself once a later one has succeeded', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-store-'))
  const [path, copied] = [join(folder, 'state.db'), join(folder, 'copied.db')]
  let failure: Error | undefined
  const store = await openSqliteStore({
    path,
    sync: async () => {
      if (failure !== undefined) throw failure
    },
  })
  const team = (id: string) => ({ id, name: id, slug: id, createdAt: 1, limits: {} })
  failure = new Error('no disk')
  await expect(store.teams.create(team('red'))).rejects.toThrow('no disk')
  await expect(store.durable()).rejects.toThrow('no disk')
  failure = undefined
  await store.teams.create(team('blue'))

  // Without the log, as if nothing of it had come to the disk.
  copyFileSync(path, copied)
  const found = await openSqliteStore({ path: copied })
  expect(await found.teams.find('red')).toMatchObject({ slug: 'red' })
  await found.close()
  await store.close()
  rmSync(folder, { recursive: true })
})
