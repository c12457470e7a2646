import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

const requirements = join(import.meta.dirname, '../conformance/python/requirements')

/** The releases of E2B's Python SDK that the setup installs for its own tests, newest first. */
export const pythonVersions: string[] = readdirSync(requirements)
  .map((name) => basename(name, '.txt'))
  .filter((name) => /^\d/.test(name))
  .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
