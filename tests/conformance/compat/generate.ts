/** `npm run gen:compat`: writes docs/compat.md, and surface.json that it is made from. */
import { writeFileSync } from 'node:fs'
import { compatFile, readTemplate, surfaceFile } from './files.ts'
import { renderCompat } from './render.ts'
import { readSurface } from './surface.ts'

const surface = readSurface()
writeFileSync(surfaceFile, `${JSON.stringify(surface, null, 2)}\n`)
writeFileSync(compatFile, renderCompat(readTemplate(), surface))
