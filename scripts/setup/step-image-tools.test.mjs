import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { fetchPackages, imageToolsStep } from './step-image-tools.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

const progress = () => {}

/** A package as Debian's are, with one program and its license. */
function addPackage(folder, name, path) {
  const source = join(temporaryFolder(), name)
  const put = (file, text) => {
    mkdirSync(join(source, file, '..'), { recursive: true })
    writeFileSync(join(source, file), text)
  }
  put(
    'DEBIAN/control',
    `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n`,
  )
  put(path, `the program of ${name}`)
  put(`usr/share/doc/${name}/copyright`, 'GPL')
  execFileSync('dpkg-deb', ['-b', source, join(folder, `${name}_1_all.deb`)], { stdio: 'ignore' })
}

test('the archive has the programs, from wherever they can be had', async () => {
  const archive = join(temporaryFolder(), 'tools.tar')
  const step = imageToolsStep({
    archive,
    getters: [
      () => Promise.reject(new Error('no apt')),
      async (folder) => {
        addPackage(folder, 'bash-static', 'bin/bash-static')
        addPackage(folder, 'busybox-static', 'usr/bin/busybox')
      },
    ],
  })
  expect(await step.isDone()).toBe(false)
  await step.run(progress)
  expect(await step.isDone()).toBe(true)
  const names = execFileSync('tar', ['-tf', archive], { encoding: 'utf8' }).trim().split('\n').sort()
  const licenses = ['./licenses/', './licenses/bash', './licenses/busybox']
  expect(names).toEqual(['./', './bash', './busybox', ...licenses])
  const said = execFileSync('tar', ['-xOf', archive, './bash'], { encoding: 'utf8' })
  expect(said).toBe('the program of bash-static')
  expect(readdirSync(join(archive, '..'))).toEqual(['tools.tar'])
})

test('without them the setup goes on, says why, and tries again a day later', async () => {
  const archive = join(temporaryFolder(), 'build', 'tools.tar')
  const said = []
  const step = imageToolsStep({ archive, getters: [() => Promise.reject(new Error('the mirror is away'))] })
  await step.run((text) => said.push(text))
  expect(said.at(-1)).toContain('the mirror is away')
  expect(readFileSync(`${archive}.absent`, 'utf8')).toBe('the mirror is away\n')
  expect(existsSync(archive)).toBe(false)
  expect(await step.isDone()).toBe(true)
  const longAgo = Date.now() / 1000 - 25 * 60 * 60
  utimesSync(`${archive}.absent`, longAgo, longAgo)
  expect(await step.isDone()).toBe(false)
})

test('what is fetched has to be what is known', async () => {
  const server = createServer((req, res) => {
    if (req.url?.endsWith('/none.deb')) res.writeHead(404).end()
    else res.end(req.url?.startsWith('/old/') ? 'another' : 'content')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const folder = temporaryFolder()
  const mirrors = ['old', 'new'].map((name) => `http://127.0.0.1:${server.address().port}/${name}`)
  const sha256 = createHash('sha256').update('content').digest('hex')
  const get = (path, from = mirrors) => fetchPackages([{ path, sha256 }], { mirrors: from, folder, progress })
  await get('a/some.deb')
  expect(readFileSync(join(folder, 'some.deb'), 'utf8')).toBe('content')
  await expect(get('a/other.deb', mirrors.slice(0, 1))).rejects.toThrow('not the file that is known')
  await expect(get('a/none.deb')).rejects.toThrow('answers 404')
  await expect(fetchPackages([], { mirrors, folder, progress })).rejects.toThrow('this kind of CPU')
  expect(readdirSync(folder)).toEqual(['some.deb'])
})
