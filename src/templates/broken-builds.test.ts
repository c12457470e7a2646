/** Builds that end before they are done: each says where and why, and leaves nothing behind. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildSpec, copy, run, startBuilder, type TestBuilder } from '../../tests/support/builder.ts'
import { sleep } from '../lib/deadline.ts'

let t: TestBuilder
beforeEach(async () => {
  t = await startBuilder()
})
afterEach(() => t[Symbol.asyncDispose]())

const patience = () => AbortSignal.timeout(30_000)
const hash = 'a'.repeat(64)

describe('a build', () => {
  test.each([
    ['the disk is full', { snapshotDiskFull: true }, /disk/],
    ['its layer cannot be kept', { failSnapshot: true }, /copied/],
    ['its guest does not start', { failStart: true }, /started/],
    ['its guest dies', { dieAfterMs: 300 }, /ended|answer/],
  ])('ends when %s, and leaves nothing', async (_what, faults, message) => {
    await using faulty = await startBuilder({ faults })
    const { build } = await faulty.build({ steps: [run('sleep 5')] })
    expect(build).toMatchObject({ status: 'error', reason: { message: expect.stringMatching(message) } })
    expect(await faulty.guests()).toEqual([])
    expect(await faulty.store.layers.list({})).toHaveLength(
      (await faulty.runtime.images.list(patience())).length,
    )
  })

  test('that never becomes ready says what its ready command said last', async () => {
    await using impatient = await startBuilder({ readyMs: 500 })
    const { build, log } = await impatient.build({
      startCmd: 'echo begun; sleep 60',
      readyCmd: 'echo nobody listens; exit 7',
    })
    expect(build.reason).toEqual({
      step: 'finalize',
      message: expect.stringMatching(
        /^Becoming ready took longer than 0\.5 seconds\. The ready command said last: nobody listens/,
      ),
    })
    expect(log).toContain('[start] [stdout]: begun')
    expect(await impatient.guests()).toEqual([])
  })

  test('whose files don’t fit on the disk of its guest fails at the step that brings them', async () => {
    await using small = await startBuilder({ faults: { diskFull: true } })
    small.files.set(hash, await archiveOf({ x: Buffer.alloc(200_000, 'x') }))
    const copied = await small.build({ steps: [run('true'), copy('x', '.', { filesHash: hash })] })
    expect(copied.build.reason).toMatchObject({
      step: '2',
      message: expect.stringMatching(/^failed to copy 'x'.*(full|space)/),
    })
    const ran = await small.build({ steps: [run('head -c 200000 /dev/zero > x')] })
    expect(ran.build.reason).toMatchObject({ step: '1', message: expect.stringContaining('exit status 1') })
    expect(ran.log.join('\n')).toMatch(/No space left on device/)
    expect(await small.guests()).toEqual([])
  })

  test.each([
    ['a way out', ['-P', '--transform', 's,^x$,../../out,'], 'outside'],
    ['an absolute name', ['-P', '--transform', 's,^x$,/tmp/e2b-out,'], 'outside'],
    ['a device', ['-P', '--transform', 's,^/dev/null$,null,', '/dev/null'], 'neither'],
  ])('whose archive has %s fails at its step', async (_what, args, text) => {
    t.files.set(hash, await archiveOf({ x: 'x' }, ...args))
    const { build } = await t.build({ steps: [run('true'), copy('.', 'here', { filesHash: hash })] })
    expect(build.reason).toMatchObject({
      step: '2',
      message: expect.stringMatching(/^failed to copy '\.' to 'here': /),
    })
    expect(build.reason?.message).toContain(text)
    expect(await t.guests()).toEqual([])
  })

  test('whose archive becomes more than its disk fails at its step', async () => {
    const bomb = await archiveOf({ x: Buffer.alloc(30_000_000) })
    expect(bomb.length).toBeLessThan(100_000)
    t.files.set(hash, bomb)
    const { build } = await t.build({ steps: [copy('x', '.', { filesHash: hash })] }, { diskMb: 1 })
    expect(build.reason).toMatchObject({
      step: '1',
      message: expect.stringContaining('more than 1048576 bytes'),
    })
    expect(await t.guests()).toEqual([])
  })
})

/** Of files in a folder of their own, as `tar` makes it with these arguments. */
async function archiveOf(files: Record<string, Buffer | string>, ...args: string[]): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'e2b-archive-'))
  try {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
    return execFileSync('tar', ['-C', folder, '-cz', ...args, ...Object.keys(files)])
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe('a cancelled build', () => {
  const phases = {
    'in a command': { steps: [run('echo here; sleep 60')] },
    'in a start command': { startCmd: 'echo here; sleep 60', readyCmd: 'false' },
  }
  test.each(Object.entries(phases))('ends at once: %s', async (_where, spec) => {
    const row = await t.create()
    await t.builder.start(row, buildSpec(spec))
    await t.said(row.id, ': here')
    await t.builder.cancel(row.id, 'The operator has ended it.')
    const build = await t.store.builds.find(row.id)
    expect(build).toMatchObject({ status: 'error', reason: { message: 'The operator has ended it.' } })
    expect(await t.guests()).toEqual([])
    await t.builder.cancel(row.id, 'again')
    expect((await t.store.builds.find(row.id))?.reason).toEqual(build?.reason)
  })

  test('ends in the middle of a copy', async () => {
    let opened = () => {}
    const reading = new Promise<void>((resolve) => {
      opened = resolve
    })
    const endless = new Readable({ read: () => opened() })
    await using one = await startBuilder({ openFile: async () => endless })
    const row = await one.create()
    await one.builder.start(row, buildSpec({ steps: [copy('x', '.', { filesHash: hash })] }))
    await reading
    await one.builder.cancel(row.id, 'enough')
    expect((await one.store.builds.find(row.id))?.reason).toEqual({ message: 'enough', step: '1' })
    expect(endless.destroyed).toBe(true)
    expect(await one.guests()).toEqual([])
  })

  test('ends while its layer is kept, of which nothing stays', async () => {
    await using one = await startBuilder({ faults: { snapshotDelayMs: 60_000 } })
    const frozen = async () => (await one.guests()).length > 0
    const row = await one.create()
    await one.builder.start(row, buildSpec({ steps: [run('echo here')] }))
    while (!(await frozen())) await sleep(20)
    await one.builder.cancel(row.id, 'enough')
    expect((await one.store.builds.find(row.id))?.reason).toEqual({ message: 'enough', step: 'base' })
    expect(await one.guests()).toEqual([])
    expect(await one.runtime.images.list(patience())).toEqual([])
    expect(await one.store.layers.list({})).toEqual([])
  })

  test('that has not begun never begins', async () => {
    const row = await t.create()
    await t.builder.cancel(row.id, 'not wanted')
    expect(await t.store.builds.find(row.id)).toMatchObject({
      status: 'error',
      reason: { message: 'not wanted' },
    })
    await expect(t.builder.start(row, buildSpec())).rejects.toMatchObject({ code: 'conflict' })
  })

  test('all end when the builder closes, and none begins any more', async () => {
    const rows = [await t.create(), await t.create()]
    for (const row of rows) await t.builder.start(row, buildSpec({ steps: [run('sleep 60')] }))
    await t.builder.close()
    for (const { id } of rows) {
      expect(await t.store.builds.find(id)).toMatchObject({ status: 'error', reason: { message: /stopped/ } })
    }
    expect(await t.guests()).toEqual([])
    await expect(t.builder.start(await t.create(), buildSpec())).rejects.toMatchObject({
      code: 'unavailable',
    })
  })
})

test('a build that is removed while it runs leaves nothing', async () => {
  const row = await t.create()
  await t.builder.start(row, buildSpec({ steps: [run('echo here; sleep 0.2')] }))
  await t.said(row.id, ': here')
  await t.store.templates.remove(row.templateId)
  while (t.builder.owns(row.id)) await sleep(10)
  expect(await t.store.builds.find(row.id)).toBeUndefined()
  expect(await t.guests()).toEqual([])
})
