import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { generateOpenapi } from '../scripts/gen-openapi.mjs'

test('src/wire/gen/openapi.ts is what spec/openapi.yml says; `npm run gen` renews it', () => {
  expect(readFileSync(join(import.meta.dirname, '../src/wire/gen/openapi.ts'), 'utf8')).toBe(
    generateOpenapi(),
  )
})
