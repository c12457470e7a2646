import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** For tests: a folder (with a space in its name, as checkouts may have) that goes with the test. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'e2b setup-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
