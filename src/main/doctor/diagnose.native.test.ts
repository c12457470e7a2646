/** What a diagnosis leaves of a helper that a server uses. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { imageServer } from '../../images/store.fixture.ts'
import { patientSignal } from '../../lib/patience.ts'
import { readConfig } from '../config.ts'
import { diagnose } from './diagnose.ts'

const folder = mkdtempSync(join(tmpdir(), 'e2b-diagnose-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('a diagnosis changes nothing of a helper that others use', async () => {
  const server = imageServer(folder)
  try {
    expect(await server.layers.layers(patientSignal(30_000))).toEqual([])
    const stateDir = join(folder, 'state')
    const records = join(stateDir, 'image-records')
    mkdirSync(records, { recursive: true })
    const files = [join(server.root, 'spool', 'coming'), join(records, '.draft-coming')]
    for (const file of files) writeFileSync(file, 'half of a layer')

    const given = { stateDir, runtime: 'native', hostRoot: server.root }
    const groups = await diagnose(readConfig(given, {}))
    const lines = new Map(groups.flatMap(({ checks }) => checks.map((check) => [check.name, check])))
    expect(lines.get('runtime')).toMatchObject({ state: 'ok', detail: expect.stringContaining('native') })
    // Counted by user, and the user name spaces have owners of their own.
    expect(lines.get('file watches')).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining('each sandbox has'),
    })
    // It would have to be taken in.
    expect(lines.get('sandbox')).toMatchObject({
      state: 'warn',
      detail: expect.stringContaining('not tried'),
    })
    expect(await server.layers.layers(patientSignal(30_000))).toEqual([])
    expect(readdirSync(join(server.root, 'spool'))).toEqual(['coming'])
    expect(readdirSync(records)).toEqual(['.draft-coming'])
  } finally {
    await server.close()
  }
})
