import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { ServerError } from '../../domain/error.ts'
import { endShim, isStaleTask } from './stale-task.ts'

const id = 'ab'.repeat(32)

test('the shim of one container is ended, and no other', async () => {
  const start = (containerId: string) =>
    spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', '-id', containerId], {
      argv0: 'containerd-shim-runc-v2',
    })
  const shims = [start(id), start('cd'.repeat(32))]
  try {
    await Promise.all(shims.map((shim) => once(shim, 'spawn')))
    const ended = once(shims[0]!, 'close')
    expect(await endShim(id)).toBe(true)
    expect((await ended)[1]).toBe('SIGKILL')
    expect(await endShim(id)).toBe(false)
    expect(shims[1]!.exitCode).toBeNull()
  } finally {
    for (const shim of shims) shim.kill('SIGKILL')
  }
})

test('only a task that is left over is one', () => {
  const failure = (message: string) =>
    new ServerError('internal', 'The Docker engine failed.', {
      cause: Object.assign(new Error(`(HTTP code 500) server error - ${message} `), {
        statusCode: 500,
        reason: 'server error',
        json: { message },
      }),
    })
  expect(isStaleTask(failure(`task ${id}: already exists`))).toBe(true)
  expect(isStaleTask(failure('network already exists'))).toBe(false)
  expect(isStaleTask(new Error('task'))).toBe(false)
})
