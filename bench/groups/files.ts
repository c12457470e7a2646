import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { sample, timed } from '../../src/bench/statistics.ts'
import { docker, dockerRemove, dockerRun } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { megabyte, ms } from '../report.ts'

/** Many files at once, beside `docker cp`. */
export const benchFiles: Group = async ({ report }) => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const container = await dockerRun()
  const folder = await mkdtemp(join(tmpdir(), 'e2b-bench-'))
  const megabytes = Array.from({ length: 100 }, () => new Blob([randomBytes(megabyte)]))
  const together = await timed(() =>
    Promise.all(megabytes.map((content, i) => sandbox.files.write(`many/${i}`, content))),
  )
  await writeFile(join(folder, 'megabyte'), randomBytes(megabyte))
  const copyIn = () => docker('cp', join(folder, 'megabyte'), `${container}:/tmp/megabyte`)
  const copies = await timed(() => sample(copyIn, { count: 100, parallel: 10 }))
  report('100 uploads of 1 MB at once, wall time | docker cp, 10 at once', ms(together), ms(copies))
  await rm(folder, { recursive: true })
  await dockerRemove([container])
  await sandbox.kill()
}
