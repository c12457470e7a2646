import { expect, test } from 'vitest'
import { anySandbox, startControl } from '../../tests/support/control.ts'
import { createSandbox } from './create-sandbox.ts'
import { reconcile } from './reconcile.ts'
import { updateNetwork } from './update-network.ts'

const signal = () => AbortSignal.timeout(30_000)
const open = { egress: { allowOut: [], denyOut: [], rules: {} }, allowInternetAccess: null }
const closed = { ...open, allowInternetAccess: false }

test('a change of the network that can’t be made leaves the record as it was, and its owner is told of none', async () => {
  await using parts = await startControl()
  const { control } = parts
  const { id, teamId } = await createSandbox(control, anySandbox, { signal: signal(), phase: () => {} })
  // Sandboxes of the process runtime can't be closed.
  const update = updateNetwork(control, { id, teamId }, closed)
  await expect(update).rejects.toMatchObject({ code: 'unimplemented' })
  expect(await control.store.sandboxes.find(id)).toMatchObject({
    allowInternetAccess: null,
    network: { denyOut: [] },
  })
  const typesOf = async () =>
    (await control.store.events.list({ sandboxId: id, limit: 9 })).map(({ type }) => type)
  expect(await typesOf()).not.toContain('updated')

  await updateNetwork(control, { id, teamId }, { ...open, allowInternetAccess: true })
  expect(await control.store.sandboxes.find(id)).toMatchObject({ allowInternetAccess: true })
  expect(await typesOf()).toContain('updated')
  expect(parts.directory.find(id)).toBeDefined()
})

test('a sandbox that is to be closed, and isn’t, takes no traffic after a restart', async () => {
  await using parts = await startControl()
  const { control } = parts
  const { id } = await createSandbox(control, anySandbox, { signal: signal(), phase: () => {} })
  // As a crash leaves it between the record and the effect.
  await control.store.sandboxes.update(id, { allowInternetAccess: false })
  await control.node.withdraw(id)
  await expect(reconcile(control, signal())).rejects.toMatchObject({ code: 'unimplemented' })
  expect(parts.directory.find(id)).toBeUndefined()
  expect(await control.store.sandboxes.find(id)).toMatchObject({ state: 'running' })
})
