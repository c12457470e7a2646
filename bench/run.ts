/**
 * `npm run bench [-- --only create,ports]`: every figure the project claims, each beside a baseline measured in the same
 * run on the same machine. Prints a table; asserts nothing.
 */
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { testedRuntime } from '../scripts/test/runtime.mjs'
import { reachRegistries } from '../tests/support/registries.ts'
import { startTestServer } from '../tests/support/server.ts'
import { baseImage, docker } from './docker-cli.ts'
import type { Group } from './group.ts'
import { benchApi } from './groups/api.ts'
import { benchCommands } from './groups/commands.ts'
import { benchCreate } from './groups/create.ts'
import { benchEdge } from './groups/edge.ts'
import { benchFiles } from './groups/files.ts'
import { benchHostile } from './groups/hostile.ts'
import { benchInterpreter } from './groups/interpreter.ts'
import { benchLifecycle } from './groups/lifecycle.ts'
import { benchMemory } from './groups/memory.ts'
import { benchOutput } from './groups/output.ts'
import { benchPorts } from './groups/ports.ts'
import { benchStreams } from './groups/streams.ts'
import { benchTemplates } from './groups/templates.ts'
import { createReport } from './report.ts'

const groups: Record<string, Group> = {
  api: benchApi,
  create: benchCreate,
  commands: benchCommands,
  streams: benchStreams,
  output: benchOutput,
  files: benchFiles,
  ports: benchPorts,
  edge: benchEdge,
  lifecycle: benchLifecycle,
  memory: benchMemory,
  templates: benchTemplates,
  interpreter: benchInterpreter,
  hostile: benchHostile,
}

const chosen = chooseGroups(process.argv.slice(2))
console.log(
  `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`,
)
console.log(
  `engine ${await docker('version', '--format', '{{.Server.Version}}')}, image ${baseImage}, sandboxes of ${testedRuntime()}\n`,
)

using registries = await reachRegistries()
// Baselines reach containers at their addresses.
await using server = await startTestServer({ flags: ['--open-egress', ...registries.flags] })
const { report, printTable } = createReport()
const idleServerBytes = server.residentBytes()
for (const group of chosen) await group({ server, idleServerBytes, report })
printTable()

/** The groups that `--only` names, else all of them. */
function chooseGroups(args: string[]): Group[] {
  const { values } = parseArgs({ args, options: { only: { type: 'string' } } })
  const names = values.only?.split(',') ?? Object.keys(groups)
  return names.map((name) => {
    const group = groups[name]
    if (group === undefined)
      throw new Error(`Unknown: ${name}. Known are: ${Object.keys(groups).join(', ')}.`)
    return group
  })
}
