import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Surface } from './surface.ts'

/** The generated document. */
export const compatFile = join(import.meta.dirname, '../../../docs/compat.md')
/** What all SDKs offered when it was generated. */
export const surfaceFile = join(import.meta.dirname, 'surface.json')

export function readTemplate(): string {
  return readFileSync(join(import.meta.dirname, 'template.md'), 'utf8')
}

export function readCommittedSurface(): Surface {
  return JSON.parse(readFileSync(surfaceFile, 'utf8')) as Surface
}
