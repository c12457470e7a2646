/** Turns spec/openapi.yml into src/wire/gen/openapi.ts, so that the server validates against the document itself. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

const root = new URL('../', import.meta.url)

/** The generated module's text. */
export function generateOpenapi() {
  const document = parse(readFileSync(new URL('spec/openapi.yml', root), 'utf8'))
  return [
    '// Generated from spec/openapi.yml by `npm run gen`. Do not edit.',
    `export const openapi = ${JSON.stringify(document, null, 2)}`,
    '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('src/wire/gen/openapi.ts', root), generateOpenapi())
}
