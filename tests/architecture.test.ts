/** The rules of docs/ARCHITECTURE.md that a machine can check. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** What each part of `src` may import besides itself and `lib`; a part that isn't here may import nothing else. */
const mayImport: Record<string, readonly string[]> = {
  lib: [],
  bench: [],
  domain: [],
  wire: ['domain'],
  scheduler: ['domain'],
  auth: ['domain'],
  telemetry: ['domain'],
  network: ['domain'],
  control: ['domain', 'scheduler', 'auth', 'telemetry'],
  store: ['domain'],
  templates: ['domain', 'guest'],
  images: ['domain', 'network'],
  runtimes: ['domain', 'network', 'images'],
  guest: ['domain'],
  'data-plane': ['domain'],
  envd: ['domain', 'wire', 'guest', 'auth'],
  orchestrator: ['domain', 'guest', 'network', 'telemetry'],
  api: ['domain', 'wire', 'control', 'auth', 'telemetry'],
  edge: ['domain', 'wire', 'auth', 'telemetry'],
  tls: ['domain'],
  dns: [],
  webhooks: ['domain', 'network'],
  cli: ['wire'],
}
const fileMaxLines = 400

interface SourceFile {
  /** Path from `src`, with `/` */
  path: string
  text: string
}

const files = sourceFiles(join(root, 'src'))
const imports = files.flatMap((file) =>
  importsOf(file).map((specifier) => ({ from: file.path, to: target(file.path, specifier) })),
)
const inner = imports.flatMap(({ from, to }) => (to === undefined ? [] : [{ from, to }]))

describe('the checks see', () => {
  test('every file', () => {
    const all = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    const expected = all.filter((path) => path.endsWith('.ts') && statSync(join(root, 'src', path)).isFile())
    expect(files.map(({ path }) => path).toSorted()).toEqual(
      expected.map((path) => path.split(sep).join('/')).toSorted(),
    )
    expect(files.length).toBeGreaterThan(40)
  })

  test('every part', () => {
    const known = [...Object.keys(mayImport), 'main']
    expect(files.map(({ path }) => path).filter((path) => !known.includes(partOf(path)))).toEqual([])
  })

  test('imports of every form, and that each leads to a file', () => {
    const forms = [
      "import { a } from './a.ts'",
      "import type { b } from '../lib/b.ts'",
      "import {\n  c,\n  d,\n} from './c.ts'",
      "export * from './d.ts'",
      "export { e } from './e.ts'",
      "import './f.ts'",
      "const g = await import('./g.ts')",
      "type H = import('./h.ts').H",
      "// import { no } from './no.ts'",
      "/* import { no } from './no.ts' */",
    ]
    expect(importsOf({ path: 'x/y.ts', text: forms.join('\n') })).toEqual([
      ...['./a.ts', '../lib/b.ts', './c.ts', './d.ts', './e.ts', './f.ts', './g.ts', './h.ts'],
    ])
    expect(inner.length).toBeGreaterThan(files.length)
    expect(inner.filter(({ to }) => !existsSync(join(root, 'src', to)))).toEqual([])
  })
})

describe('imports', () => {
  test.each([
    ['edge/a.ts', 'domain/b.ts', true],
    ['edge/a.ts', 'lib/b.ts', true],
    ['edge/a.ts', 'edge/b.ts', true],
    ['edge/a.ts', 'guest/b.ts', false],
    ['lib/a.ts', 'domain/b.ts', false],
    ['runtimes/docker/a.ts', 'runtimes/docker/b.ts', true],
    ['runtimes/docker/a.ts', 'runtimes/process/b.ts', false],
    ['runtimes/gvisor/a.ts', 'runtimes/native/b.ts', false],
    ['runtimes/gvisor/a.ts', 'runtimes/host/b.ts', true],
    ['runtimes/host/a.ts', 'runtimes/gvisor/b.ts', false],
    ['runtimes/docker/a.ts', 'runtimes/host/b.ts', false],
    ['runtimes/docker/a.ts', 'domain/b.ts', true],
    ['control/a.ts', 'main/main.ts', false],
    ['main/main.ts', 'runtimes/docker/a.ts', true],
    ['edge/a.test.ts', 'guest/b.ts', true],
    ['store/store.suite.ts', 'edge/b.ts', true],
    ['runtimes/docker/a.ts', '../spec/b.json', true],
  ])('the rule for %s → %s', (from, to, allowed) => {
    expect(isAllowed(from, to)).toBe(allowed)
  })

  test('go only where the table allows', () => {
    expect(
      inner.filter(({ from, to }) => !isAllowed(from, to)).map(({ from, to }) => `${from} → ${to}`),
    ).toEqual([])
  })

  test('of tests and suites come from tests and suites only', () => {
    const wrong = inner.filter(({ from, to }) => isTest(to) && !isTest(from))
    expect(wrong).toEqual([])
  })
})

test('the environment is read in main only', () => {
  const reads = /\bprocess\s*(?:\?\.|\.|\[\s*['"])\s*env\b|\benv\b[^;]*from 'node:process'/
  expect(reads.test("const home = process.env['HOME']")).toBe(true)
  expect(reads.test("import { env } from 'node:process'")).toBe(true)
  const wrong = files.filter(
    ({ path, text }) => partOf(path) !== 'main' && !isTest(path) && reads.test(withoutComments(text)),
  )
  expect(wrong.map(({ path }) => path)).toEqual([])
})

test(`no file has more than ${fileMaxLines} lines`, () => {
  const long = files
    .filter(({ path }) => !path.startsWith('wire/gen/') && !isTest(path))
    .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > fileMaxLines)
  expect(long).toEqual([])
})

test.each([
  ['In the server', 'dependencies'],
  ['For development', 'devDependencies'],
])('docs/dependencies.md has under "%s" each of package.json\'s %s and no other', (heading, field) => {
  const text = readFileSync(join(root, 'docs/dependencies.md'), 'utf8')
  const section = text.split(/^## /m).find((part) => part.startsWith(heading)) ?? ''
  const firstCells = [...section.matchAll(/^\|([^|]*)\|/gm)].map(([, cell]) => cell!)
  const named = firstCells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!))
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  expect(named.toSorted()).toEqual(Object.keys(manifest[field]).toSorted())
})

function isAllowed(from: string, to: string): boolean {
  // What several programs share, such as the list of system calls, is data beside the contracts.
  if (isTest(from) || partOf(from) === 'main' || to.startsWith('../spec/')) return true
  const [fromPart, toPart] = [partOf(from), partOf(to)]
  if (fromPart === toPart)
    return fromPart !== 'runtimes' || isOwnRuntime(from.split('/')[1], to.split('/')[1])
  return toPart === 'lib' || (mayImport[fromPart]?.includes(toPart) ?? false)
}

/** `host` is no runtime: it has what those of the helper share. */
function isOwnRuntime(from: string | undefined, to: string | undefined): boolean {
  return from === to || (to === 'host' && (from === 'native' || from === 'gvisor'))
}

function isTest(path: string): boolean {
  return /\.(?:test|suite|fixture)\.ts$/.test(path)
}

function partOf(path: string): string {
  return path.split('/')[0]!
}

/** The specifiers that a file imports from. */
function importsOf({ text }: SourceFile): string[] {
  const pattern = /\b(?:from\s*|import\s*\(?\s*)(['"])([^'"\n]+)\1/g
  return [...withoutComments(text).matchAll(pattern)].map(([, , specifier]) => specifier!)
}

/** Good enough for sources: strings that hold comment marks lose their ends, which hides no import. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

/** The path from `src` that an import leads to; undefined for packages. */
function target(from: string, specifier: string): string | undefined {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined
}

function sourceFiles(folder: string): SourceFile[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sourceFiles(path)
    if (!entry.name.endsWith('.ts')) return []
    return [
      { path: relative(join(root, 'src'), path).split(sep).join('/'), text: readFileSync(path, 'utf8') },
    ]
  })
}
