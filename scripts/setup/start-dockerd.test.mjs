import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { clearRemains, startDockerd } from './start-dockerd.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

function remains({ docker, containerd }) {
  const runFolder = temporaryFolder()
  const pidFiles = {
    docker: join(runFolder, 'docker.pid'),
    containerd: join(runFolder, 'docker/containerd/containerd.pid'),
  }
  mkdirSync(join(runFolder, 'docker/containerd'), { recursive: true })
  writeFileSync(pidFiles.docker, `${docker}\n`)
  writeFileSync(pidFiles.containerd, `${containerd}\n`)
  return { runFolder, pidFiles, containerdSocket: join(runFolder, 'containerd.sock') }
}

test('pid files of processes that are gone or are something else are removed', async () => {
  const { pidFiles, ...options } = remains({ docker: process.pid, containerd: 2 ** 22 + 1 })
  await clearRemains(options)
  expect(existsSync(pidFiles.docker)).toBe(false)
  expect(existsSync(pidFiles.containerd)).toBe(false)
})

test('a socket that nobody listens on is removed, one in use stays', async () => {
  const { containerdSocket, runFolder } = remains({ docker: 1, containerd: 1 })
  const server = createServer().listen(containerdSocket)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  await clearRemains({ runFolder, containerdSocket })
  expect(existsSync(containerdSocket)).toBe(true)

  const dead = join(runFolder, 'dead.sock')
  // A process that is killed leaves its socket's file behind.
  const child = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(process.argv[1], () => console.log(1))`,
    dead,
  ])
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(existsSync(dead)).toBe(true)
  await clearRemains({ runFolder, containerdSocket: dead })
  expect(existsSync(dead)).toBe(false)
})

test('an engine that ends at once is reported with the end of its log', async () => {
  const folder = temporaryFolder()
  const start = startDockerd({
    endpoint: { socketPath: join(folder, 'docker.sock') },
    args: ['--no-such-flag'],
    logFile: join(folder, 'dockerd.log'),
    runFolder: folder,
    containerdSocket: join(folder, 'containerd.sock'),
    timeoutMs: 10_000,
  })
  await expect(start).rejects.toMatchObject({
    message: expect.stringMatching(/^dockerd (exited|could not be started)/),
    advice: expect.stringContaining('dockerd.log'),
  })
})
