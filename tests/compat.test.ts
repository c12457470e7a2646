import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { sections } from './conformance/compat/claims.ts'
import { clientOf, problemsOf } from './conformance/compat/evidence.ts'
import { compatFile, readCommittedSurface, readTemplate } from './conformance/compat/files.ts'
import { renderCompat, titleOf, unknownMethods } from './conformance/compat/render.ts'
import { methodNames, parseClasses, readJsSurface } from './conformance/compat/surface.ts'

const surface = readCommittedSurface()

describe('docs/compat.md', () => {
  test('is what `npm run gen:compat` makes', () => {
    expect(readFileSync(compatFile, 'utf8')).toBe(renderCompat(readTemplate(), surface))
  })

  test('knows every method of the JavaScript SDKs that are installed', () => {
    expect(surface).toMatchObject(readJsSurface())
  })

  test('says something of every method, and of no other', () => {
    expect(unknownMethods(surface)).toEqual([])
    const claimed = sections.flatMap(({ claims }) => claims.flatMap(({ methods }) => methods))
    expect(claimed.filter((method) => !Object.values(surface).flat().includes(method))).toEqual([])
    expect(new Set(claimed).size).toBe(claimed.length)
  })

  test('names what is missing from what works partly', () => {
    const partly = sections.flatMap(({ claims }) => claims.filter(({ state }) => state === 'partly'))
    expect(partly.filter(({ note }) => note === '')).toEqual([])
  })

  test('names as exceptions only releases that there are', () => {
    const exceptions = sections.flatMap(({ claims }) =>
      claims.flatMap(({ partlyIn }) => Object.keys(partlyIn ?? {})),
    )
    const titles = Object.keys(surface).map(titleOf)
    expect(exceptions.filter((title) => !titles.includes(title))).toEqual([])
  })

  test('would show a method that nobody has looked at', () => {
    const grown = { ...surface, 'js 9.9.9': ['commands.run', 'commands.teleport'] }
    const rendered = renderCompat(readTemplate(), grown)
    expect(rendered).toMatch(/`commands\.teleport`.*nobody has looked/)
    expect(rendered).toContain('JavaScript 9.9.9')
  })
})

describe('methods are read from declarations', () => {
  const declarations = `
declare class Commands extends Base<{}> {
  private readonly rpc;
  constructor(transport: Transport, options: {
    depth: number;
  });
  get pid(): number;
  /** notAMethod(x) */
  run(cmd: string, opts?: {
    background(): void;
  }): Promise<void>;
  run(cmd: string): Promise<void>;
  protected inner(): void;
  static of<T extends X>(this: T): T;
}
declare class StrangeThing {
    go(): void;
}
declare class OddError extends Error {
  method(): void;
}
`
  test('without what is private, inherited words and comments', () => {
    const [commands] = parseClasses(declarations)
    expect(commands).toEqual({ name: 'Commands', statics: ['of'], methods: ['run', 'run'] })
  })

  test('and a class that nothing knows is named', () => {
    expect(methodNames(parseClasses(declarations))).toEqual(['StrangeThing.*', 'commands.of', 'commands.run'])
  })
})

describe('a run is held against the claims', () => {
  const client = 'js 1.0.0'
  const small = { [client]: ['commands.run', 'commands.list'] }
  const run = (title: string, status: string, ...proves: string[]) => ({
    ancestorTitles: [title],
    fullName: `${title} test`,
    status,
    meta: { proves },
  })
  const problems = (...assertionResults: ReturnType<typeof run>[]) =>
    problemsOf({ testResults: [{ assertionResults }] }, small)

  test.each([
    ["e2b '2.51.0': files", 'js 2.51.0'],
    ['e2b 2.20.0: files', 'js 2.20.0'],
    ["e2b '2.63.0' (Python, 'async')", 'python 2.63.0 async'],
    ['e2b newest: ten sandboxes', undefined],
    ['requests', undefined],
  ])('the client of %j is %s', (title, expected) => {
    expect(clientOf(title)).toBe(expected)
  })

  test('all proven', () => {
    expect(problems(run('e2b 1.0.0', 'passed', 'commands.run', 'commands.list'))).toEqual([])
  })

  test('what no test proves, what a test failed on, what only another client’s test proves', () => {
    expect(problems(run('e2b 1.0.0', 'passed', 'commands.run'))).toEqual([
      'js 1.0.0: commands.list is claimed to work, and no test proves it.',
    ])
    const failed = problems(
      run('e2b 1.0.0', 'passed', 'commands.run', 'commands.list'),
      run('e2b 1.0.0', 'failed', 'commands.run'),
    )
    expect(failed).toEqual(['js 1.0.0: commands.run is claimed to work, and 1 of its tests failed.'])
    expect(problems(run('e2b 2.0.0', 'passed', 'commands.run'))[0]).toContain('not for which client')
  })

  test('a method that no SDK has', () => {
    const wrong = run('e2b 1.0.0', 'passed', 'commands.run', 'commands.list', 'commands.runn')
    expect(problems(wrong)).toEqual(['"e2b 1.0.0 test" proves commands.runn, which no SDK has.'])
  })
})
