import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { docker, dockerRemove, dockerRun } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { sample, timed } from '../measure.ts'
import { megabyte, ms, rate, spread } from '../report.ts'

/** Files small, large and many, beside `docker cp`. */
export const benchFiles: Group = async ({ report }) => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const container = await dockerRun()
  const folder = await mkdtemp(join(tmpdir(), 'e2b-bench-'))
  const small = 'x'.repeat(1024)
  await writeFile(join(folder, 'small'), small)
  await writeFile(join(folder, 'large'), randomBytes(100 * megabyte))

  const copyIn = (name: string) => docker('cp', join(folder, name), `${container}:/tmp/${name}`)
  const copyOut = (name: string) => docker('cp', `${container}:/tmp/${name}`, join(folder, `${name}.out`))
  const writes = await sample(() => sandbox.files.write('small', small), { count: 200, warmUp: 10 })
  const writesBaseline = await sample(() => copyIn('small'), { count: 20, warmUp: 2 })
  report('write 1 KB | docker cp in', spread(writes), spread(writesBaseline))
  const reads = await sample(() => sandbox.files.read('small'), { count: 200, warmUp: 10 })
  const readsBaseline = await sample(() => copyOut('small'), { count: 20, warmUp: 2 })
  report('read 1 KB | docker cp out', spread(reads), spread(readsBaseline))

  const body = new Blob([readFileSync(join(folder, 'large'))])
  const uploads = await sample(() => sandbox.files.write('large', body), { count: 5, warmUp: 1 })
  const uploadsBaseline = await sample(() => copyIn('large'), { count: 5, warmUp: 1 })
  report('upload 100 MB | docker cp in', rate(uploads, 100), rate(uploadsBaseline, 100))
  const downloads = await sample(() => sandbox.files.read('large', { format: 'bytes' }), {
    count: 5,
    warmUp: 1,
  })
  const downloadsBaseline = await sample(() => copyOut('large'), { count: 5, warmUp: 1 })
  report('download 100 MB | docker cp out', rate(downloads, 100), rate(downloadsBaseline, 100))

  const megabytes = Array.from({ length: 100 }, () => new Blob([randomBytes(megabyte)]))
  const together = await timed(() =>
    Promise.all(megabytes.map((content, i) => sandbox.files.write(`many/${i}`, content))),
  )
  await writeFile(join(folder, 'megabyte'), randomBytes(megabyte))
  const copies = await timed(() => sample(() => copyIn('megabyte'), { count: 100, parallel: 10 }))
  report('100 uploads of 1 MB at once, wall time | docker cp, 10 at once', ms(together), ms(copies))

  await rm(folder, { recursive: true })
  await dockerRemove([container])
  await sandbox.kill()
}
