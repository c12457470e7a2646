/**
 * `check.ts <vitest's JSON report of the conformance tests>`: prints what docs/compat.md claims and the run didn't
 * show. The exit code is 0 if there is nothing such.
 */
import { existsSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { problemsOf, type Report } from './evidence.ts'
import { readCommittedSurface } from './files.ts'
import { readSurface } from './surface.ts'

const surface = readSurface()
const problems = problemsOf(readReport(process.argv[2]!), surface)
if (!isDeepStrictEqual(surface, readCommittedSurface())) {
  problems.push('The SDKs have other methods than docs/compat.md knows. Run `npm run gen:compat`.')
}
for (const problem of problems) console.log(problem)
process.exitCode = problems.length === 0 ? 0 : 1

function readReport(file: string): Report {
  if (!existsSync(file)) throw new Error(`${file} is missing. Run the conformance tests first.`)
  return JSON.parse(readFileSync(file, 'utf8')) as Report
}
