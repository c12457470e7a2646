/** What a run of the conformance tests shows, held against the claims. */
import { sections } from './claims.ts'
import { titleOf } from './render.ts'
import type { Surface } from './surface.ts'

/** The part of vitest's JSON report that is read here. */
export interface Report {
  testResults: {
    assertionResults: {
      ancestorTitles: string[]
      fullName: string
      status: string
      meta?: { proves?: string[] }
    }[]
  }[]
}

/**
 * What is wrong with the claims after a run, as sentences: a method claimed to work that no test of that client has
 * shown to, a test that shows a method which its client doesn't have.
 */
export function problemsOf(report: Report, surface: Surface): string[] {
  const outcomes = new Map<string, { passed: number; failed: number }>()
  const problems: string[] = []
  for (const test of report.testResults.flatMap(({ assertionResults }) => assertionResults)) {
    const methods = test.meta?.proves ?? []
    if (methods.length === 0) continue
    const client = clientOf(test.ancestorTitles[0] ?? '')
    if (client === undefined || surface[client] === undefined) {
      problems.push(`"${test.fullName}" says what it proves, but not for which client.`)
      continue
    }
    for (const method of methods) {
      if (!surface[client].includes(method) && !hasAnywhere(surface, method)) {
        problems.push(`"${test.fullName}" proves ${method}, which no SDK has.`)
      }
      const key = `${client}: ${method}`
      const counts = outcomes.get(key) ?? { passed: 0, failed: 0 }
      counts[test.status === 'passed' ? 'passed' : 'failed']++
      outcomes.set(key, counts)
    }
  }
  return [...problems, ...unproven(surface, outcomes)]
}

/** The client that tests below a title of this kind drive: `e2b 2.51.0: …`, `e2b 2.63.0 (Python, sync)`. */
export function clientOf(title: string): string | undefined {
  const [, version, flavor] = /^e2b '?(\d[\w.]*)'?(?: \(Python, '?(sync|async)'?\))?/.exec(title) ?? []
  if (version === undefined) return undefined
  return flavor === undefined ? `js ${version}` : `python ${version} ${flavor}`
}

/** Flavors and releases share tests, so a test may name a method that only some of them have. */
function hasAnywhere(surface: Surface, method: string): boolean {
  return Object.values(surface).some((methods) => methods.includes(method))
}

function unproven(surface: Surface, outcomes: Map<string, { passed: number; failed: number }>): string[] {
  const working = sections.flatMap(({ claims }) => claims.filter(({ state }) => state === 'works'))
  return Object.entries(surface).flatMap(([client, methods]) =>
    working
      .filter(({ partlyIn }) => partlyIn?.[titleOf(client)] === undefined)
      .flatMap((claim) => claim.methods)
      .filter((method) => methods.includes(method))
      .flatMap((method) => {
        const { passed = 0, failed = 0 } = outcomes.get(`${client}: ${method}`) ?? {}
        if (failed > 0) return [`${client}: ${method} is claimed to work, and ${failed} of its tests failed.`]
        return passed === 0 ? [`${client}: ${method} is claimed to work, and no test proves it.`] : []
      }),
  )
}
