import { expect, test } from 'vitest'
import { rowOf } from '../../../tests/support/control.ts'
import { openSqliteStore } from '../dialects/sqlite.ts'

test('entries of a sandbox, however old, stay until its end is that long ago', async () => {
  const store = await openSqliteStore({ path: ':memory:' })
  try {
    const told = { teamId: 'team', templateId: 'base', reason: null, detail: {}, type: 'killed' } as const
    for (const [sandboxId, endedAt] of [
      ['ilate', 500],
      ['iearly', 499],
    ] as const) {
      await store.sandboxes.create(rowOf({ id: sandboxId, state: 'killing' }))
      await store.logs.add([
        { teamId: 'team', sandboxId, at: 100, level: 'info', message: 'said', fields: { logger: 'process' } },
      ])
      await store.sandboxes.update(sandboxId, {}, { event: { ...told, sandboxId, at: endedAt } })
      await store.sandboxes.remove(sandboxId)
    }
    await store.logs.trim({ before: 0, endedBefore: 500 })
    const left = (sandboxId: string) => store.logs.list({ teamId: 'team', sandboxId, limit: 10 })
    expect(await left('ilate')).toHaveLength(1)
    expect(await left('iearly')).toEqual([])
  } finally {
    await store.close()
  }
})
