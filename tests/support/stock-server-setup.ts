/** As shared-server-setup.ts, for the suite of stock templates: its server has these, and reaches package registries. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { isDomainMode } from './mode.ts'
import { type Registries, reachRegistries } from './registries.ts'
import { provideServer } from './shared-server-setup.ts'
import { buildStock } from './stock.ts'

/** What tests create sandboxes of, by their files in tests/conformance. */
const namesOf = isDomainMode
  ? {
      'domain/interpreter-older': 'code-interpreter-v1',
      'domain/desktop-stream': 'desktop',
      'domain/mcp': 'mcp-gateway',
    }
  : {
      interpreter: 'code-interpreter-v1',
      'interpreter-input': 'code-interpreter-v1',
      'interpreter-programs': 'code-interpreter-v1',
      'interpreter-results': 'code-interpreter-v1',
      desktop: 'desktop',
      mcp: 'mcp-gateway',
    }

/** Resolves with what ends it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const registries: Registries = await reachRegistries()
  const end = await provideServer(project, registries.flags, async (server) => {
    for (const [file, name] of Object.entries(namesOf)) {
      if (existsSync(join(import.meta.dirname, `../conformance/${file}.test.ts`)))
        await buildStock(server, name)
    }
  })
  return async () => {
    await end()
    registries[Symbol.dispose]()
  }
}
