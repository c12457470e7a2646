/**
 * What the SDKs offer: every public method of every release that the tests drive, read from the packages themselves, so
 * that a method nobody has looked at can't hide. A method is named as docs/compat.md does: `commands.run`,
 * `Sandbox.kill` (by id), `sandbox.kill` (of an object); Python's in camel case.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pythonVersions } from '../../support/python.ts'

/** Methods by client, sorted. Clients are `js 2.51.0`, `python 2.63.0 sync`, … newest first. */
export type Surface = Record<string, string[]>

/** How the classes that talk to the server are named in front of their methods: statics, methods of objects. */
const prefixes: Record<string, [statics: string, methods: string]> = {
  Sandbox: ['Sandbox', 'sandbox'],
  SandboxApi: ['Sandbox', 'sandbox'],
  Commands: ['commands', 'commands'],
  CommandHandle: ['commandHandle', 'commandHandle'],
  CommandInputHandle: ['commandInputHandle', 'commandInputHandle'],
  Pty: ['pty', 'pty'],
  Filesystem: ['files', 'files'],
  WatchHandle: ['watchHandle', 'watchHandle'],
  Git: ['git', 'git'],
  SandboxPaginator: ['sandboxPaginator', 'sandboxPaginator'],
  SnapshotPaginator: ['snapshotPaginator', 'snapshotPaginator'],
  SecretPaginator: ['secretPaginator', 'secretPaginator'],
  Template: ['Template', 'template'],
  TemplateBase: ['Template', 'template'],
  Volume: ['Volume', 'volume'],
  Secret: ['Secret', 'secret'],
}

/** Classes without a method that asks the server; errors are recognized by their names. */
const others = [
  'ApiClient',
  'BasePaginator',
  'ClientFactory',
  'ConnectionConfig',
  'E2B',
  'EnvdApiClient',
  'LogEntry',
  'LogEntryEnd',
  'LogEntryStart',
  'Paginator',
  'ReadyCmd',
  'VolumeConnectionConfig',
]

/** A class of an SDK and its public methods. */
export interface SdkClass {
  name: string
  statics: string[]
  methods: string[]
}

/** The surface of all clients. Python's needs the environments that the setup makes. */
export function readSurface(): Surface {
  const python = pythonVersions.flatMap((version) =>
    ['sync', 'async'].map(
      (flavor) => [`python ${version} ${flavor}`, pythonClasses(version, flavor)] as const,
    ),
  )
  return Object.fromEntries(
    [...readJsClients(), ...python].map(([client, classes]) => [client, methodNames(classes)]),
  )
}

/** The JavaScript clients' part of `readSurface`. */
export function readJsSurface(): Surface {
  return Object.fromEntries(readJsClients().map(([client, classes]) => [client, methodNames(classes)]))
}

function readJsClients(): [client: string, classes: SdkClass[]][] {
  const require = createRequire(import.meta.url)
  return ['e2b', 'e2b-2-20'].map((name) => {
    const manifest = require.resolve(`${name}/package.json`)
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
    return [`js ${version}`, parseClasses(readFileSync(join(dirname(manifest), 'dist/index.d.ts'), 'utf8'))]
  })
}

/** The classes that a bundled file of declarations has, with their public methods. */
export function parseClasses(declarations: string): SdkClass[] {
  const pattern = /^(?:export )?declare (?:abstract )?class (\w+)[^\n]*\{\n([\s\S]*?)^\}/gm
  return [...declarations.matchAll(pattern)].map(([, name, body]) => {
    // Members stand at one depth; what is deeper belongs to their types.
    const indent = /^ */.exec(body!)![0]
    const members = [...body!.matchAll(/^( *)((?:[a-z]+ )*)([A-Za-z]\w*)(?:<[^\n]*>)?\(/gm)]
      .filter(([, before]) => before === indent)
      .map(([, , modifiers, member]) => ({ member: member!, modifiers: modifiers!.trim().split(' ') }))
      .filter(({ member }) => member !== 'constructor')
      .filter(
        ({ modifiers }) => !['private', 'protected', 'get', 'set'].some((word) => modifiers.includes(word)),
      )
    const named = (isStatic: boolean) =>
      members.filter(({ modifiers }) => modifiers.includes('static') === isStatic).map(({ member }) => member)
    return { name: name!, statics: named(true), methods: named(false) }
  })
}

function pythonClasses(version: string, flavor: string): SdkClass[] {
  const python = join(import.meta.dirname, '../../../build/python', version, 'bin/python')
  const script = join(import.meta.dirname, '../python/surface.py')
  return JSON.parse(execFileSync(python, [script, flavor], { encoding: 'utf8' })) as SdkClass[]
}

/** Sorted, each once. A class that nothing here knows is named as a whole, as `NewThing.*`. */
export function methodNames(classes: SdkClass[]): string[] {
  const names = classes.flatMap(({ name, statics, methods }) => {
    if (others.includes(name) || /(Error|Exception)$/.test(name)) return []
    const prefix = prefixes[name]
    if (prefix === undefined) return [`${name}.*`]
    // What a template is made of stays in the SDK until it is built.
    const steps =
      prefix[1] === 'template' ? ['template.*'] : methods.map((method) => `${prefix[1]}.${method}`)
    return [...statics.map((method) => `${prefix[0]}.${method}`), ...steps]
  })
  return [...new Set(names)].sort()
}
