/** What ends an upload in the middle; `archives.test.ts` has what becomes of its file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { toError } from '../domain/error.ts'
import { runProgram } from '../runtimes/process/run-program.ts'
import { writeBody } from './write-body.ts'

const never = new AbortController().signal
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e2b-body-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a client that sends nothing for long is not waited for, one that sends slowly is', async () => {
  const slow = Readable.from(
    (async function* () {
      for (let sent = 0; sent < 5; sent++) {
        await new Promise((resolve) => setTimeout(resolve, 30))
        yield Buffer.from('x')
      }
    })(),
  )
  await writeBody(join(folder, 'slow'), slow, 5, never, { stallMs: 5_000 })
  const silent = new Readable({ read() {} })
  silent.push('half')
  await expect(writeBody(join(folder, 'silent'), silent, 9, never, { stallMs: 50 })).rejects.toMatchObject({
    code: 'deadline_exceeded',
    message: 'The upload stood still for 0.05 s.',
  })
  // Its connection is needed for the answer.
  expect(silent.destroyed).toBe(false)
})

test('a disk that fills up in the middle is said to be full', async () => {
  await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'e2b-test', folder])
  try {
    const body = new Readable({ read() {} })
    body.push(Buffer.alloc(100_000))
    const writing = writeBody(join(folder, 'half'), body, 400_000, never)
    expect(() => writeFileSync(join(folder, 'filler'), Buffer.alloc(600_000))).toThrow('ENOSPC')
    body.push(Buffer.alloc(300_000))
    body.push(null)
    const error = toError(await writing.catch((thrown: unknown) => thrown))
    expect(error).toMatchObject({ code: 'resource_exhausted', errno: 'ENOSPC' })
  } finally {
    await runProgram('umount', [folder])
  }
})
