/**
 * `npm run bench`: what `e2b-server bench` measures, with its flags. `npm run bench -- --groups edge,ports` (or `all`): groups of
 * figures that need tools of tests besides, each beside a baseline measured in the same run on the same machine. Prints a
 * table; asserts nothing.
 */
import { spawnSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'
import { testedRuntime } from '../scripts/test/runtime.mjs'
import { baseImage, ownProgram } from '../src/main/installation.ts'
import { reachRegistries } from '../tests/support/registries.ts'
import { startTestServer } from '../tests/support/server.ts'
import type { Group } from './group.ts'
import { benchApi } from './groups/api.ts'
import { benchCommands } from './groups/commands.ts'
import { benchEdge } from './groups/edge.ts'
import { benchFiles } from './groups/files.ts'
import { benchHostile } from './groups/hostile.ts'
import { benchInterpreter } from './groups/interpreter.ts'
import { benchMemory } from './groups/memory.ts'
import { benchOutput } from './groups/output.ts'
import { benchPorts } from './groups/ports.ts'
import { benchStreams } from './groups/streams.ts'
import { benchTemplates } from './groups/templates.ts'
import { createReport } from './report.ts'

const groups: Record<string, Group> = {
  api: benchApi,
  commands: benchCommands,
  streams: benchStreams,
  output: benchOutput,
  files: benchFiles,
  ports: benchPorts,
  edge: benchEdge,
  memory: benchMemory,
  templates: benchTemplates,
  interpreter: benchInterpreter,
  hostile: benchHostile,
}

const args = process.argv.slice(2)
const named = args.findIndex((arg) => arg.startsWith('--groups'))
if (named === -1) {
  const { status } = spawnSync(process.execPath, [...ownProgram(), 'bench', ...args], { stdio: 'inherit' })
  process.exitCode = status ?? 1
} else {
  await runGroups(args[named]!.split('=')[1] ?? args[named + 1] ?? '')
}

async function runGroups(names: string): Promise<void> {
  const chosen = chooseGroups(names)
  const { dockerVersion } = await import('./docker-cli.ts')
  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`,
  )
  console.log(`engine ${dockerVersion}, image ${baseImage()}, sandboxes of ${testedRuntime()}\n`)
  using registries = await reachRegistries()
  // Baselines reach containers at their addresses.
  await using server = await startTestServer({ flags: ['--open-egress', ...registries.flags] })
  const { report, printTable } = createReport()
  for (const group of chosen) await group({ server, report })
  printTable()
}

/** By their names, which commas are between. */
function chooseGroups(names: string): Group[] {
  const known = Object.keys(groups)
  return (names === 'all' ? known : names.split(',')).map((name) => {
    const group = groups[name]
    if (group === undefined) throw new Error(`Unknown: ${name}. Known are: all, ${known.join(', ')}.`)
    return group
  })
}
