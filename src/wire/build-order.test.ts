import { expect, test } from 'vitest'
import { parseBuildOrder } from './build-order.ts'
import type { BuildStepBody, StartBuildBody } from './template.ts'

const hash = '0123456789abcdef'.repeat(4)
const from = { fromImage: 'debian:12' }
const order = (body: StartBuildBody) => parseBuildOrder({ ...from, ...body })
const step = (type: string, args: string[], rest: Partial<BuildStepBody> = {}) =>
  order({ steps: [{ type, args, ...rest }] }).steps[0]

test('a specification as clients send it', () => {
  const leaked = { forceUpload: true, resolveSymlinks: false, gzip: true }
  expect(
    parseBuildOrder({
      fromImage: 'registry.example:5000/team/image@sha256:00',
      fromImageRegistry: { type: 'registry', username: 'u', password: 'p' },
      force: true,
      startCmd: 'serve',
      readyCmd: '',
      steps: [
        { type: 'COPY', args: ['src', '/dst', '', '0755'], filesHash: hash, force: false, ...leaked },
        { type: 'ADD', args: ['src', '/dst', 'me', ''], filesHash: hash, force: true },
        { type: 'COPY', args: ['src', '/dst'], filesHash: hash },
        { type: 'RUN', args: ['make', ''] },
        { type: 'RUN', args: ['make', 'root'] },
        { type: 'ENV', args: ['A', '1', 'B_2', '$A and more'] },
        { type: 'ARG', args: ['C', ''] },
        { type: 'WORKDIR', args: ['/app'] },
        { type: 'USER', args: ['me'] },
      ] as BuildStepBody[],
    }),
  ).toEqual({
    from: {
      image: 'registry.example:5000/team/image@sha256:00',
      credentials: { type: 'registry', username: 'u', password: 'p' },
    },
    force: true,
    startCmd: 'serve',
    readyCmd: null,
    steps: [
      {
        type: 'COPY',
        force: false,
        source: 'src',
        destination: '/dst',
        user: null,
        mode: 0o755,
        filesHash: hash,
      },
      {
        type: 'COPY',
        force: true,
        source: 'src',
        destination: '/dst',
        user: 'me',
        mode: null,
        filesHash: hash,
      },
      {
        type: 'COPY',
        force: false,
        source: 'src',
        destination: '/dst',
        user: null,
        mode: null,
        filesHash: hash,
      },
      { type: 'RUN', force: false, command: 'make', user: null },
      { type: 'RUN', force: false, command: 'make', user: 'root' },
      {
        type: 'ENV',
        force: false,
        pairs: [
          ['A', '1'],
          ['B_2', '$A and more'],
        ],
      },
      { type: 'ENV', force: false, pairs: [['C', '']] },
      { type: 'WORKDIR', force: false, path: '/app' },
      { type: 'USER', force: false, name: 'me' },
    ],
  })
})

test('it begins with an image or a template, and credentials go with an image', () => {
  expect(parseBuildOrder({ fromTemplate: 'base:v1' }).from).toEqual({ template: 'base:v1' })
  expect(order({ fromImageRegistry: { type: 'gcp', serviceAccountJson: '{}' } }).from).toMatchObject({
    credentials: { type: 'gcp', serviceAccountJson: '{}' },
  })
  expect(
    order({
      fromImageRegistry: { type: 'aws', awsAccessKeyId: 'i', awsSecretAccessKey: 's', awsRegion: 'r' },
    }).from,
  ).toMatchObject({ credentials: { type: 'aws', accessKeyId: 'i', secretAccessKey: 's', region: 'r' } })
  const bad: StartBuildBody[] = [
    {},
    { fromImage: '' },
    { fromImage: null, fromTemplate: '' },
    { fromImage: 'a', fromTemplate: 'b' },
    { fromTemplate: 'b', fromImageRegistry: { type: 'gcp', serviceAccountJson: '{}' } },
    { fromImage: 'has blank' },
    { fromImage: '--flag' },
    { fromImage: '/etc/passwd' },
    { fromImage: 'x'.repeat(513) },
    { fromImage: 'nul\0' },
  ]
  for (const body of bad) {
    expect(() => parseBuildOrder(body), JSON.stringify(body)).toThrow(
      expect.objectContaining({ code: 'invalid_argument' }),
    )
  }
})

test.each<[string, string[], Partial<BuildStepBody>, RegExp]>([
  ['RUN', [], {}, /^Step 1 \(RUN\) takes a command/],
  ['RUN', [''], {}, /no command/],
  ['RUN', ['a', 'b', 'c'], {}, /takes a command/],
  ['RUN', ['nul\0'], {}, /NUL/],
  ['RUN', ['x'.repeat(131_072)], {}, /longer than 131071 bytes/],
  ['RUN', ['ä'.repeat(65_536)], {}, /longer than 131071 bytes/],
  ['RUN', ['x', 'u'.repeat(257)], {}, /longer than 256 bytes/],
  ['COPY', ['a'], { filesHash: hash }, /takes a source/],
  ['COPY', ['', '/b'], { filesHash: hash }, /no source/],
  ['COPY', ['a', ''], { filesHash: hash }, /no destination/],
  ['COPY', ['a', 'b', '', '0999'], { filesHash: hash }, /not octal/],
  ['COPY', ['a', 'b', '', '-1'], { filesHash: hash }, /not octal/],
  ['COPY', ['a', 'b', '', '077777'], { filesHash: hash }, /not octal/],
  ['COPY', ['a', 'b'], {}, /needs the filesHash/],
  ['COPY', ['a', 'b'], { filesHash: hash.toUpperCase() }, /needs the filesHash/],
  ['COPY', ['a', 'b'], { filesHash: `../${hash.slice(3)}` }, /needs the filesHash/],
  ['COPY', ['a', 'x'.repeat(4097)], { filesHash: hash }, /longer than 4096 bytes/],
  ['ENV', [], {}, /by turns/],
  ['ENV', ['A'], {}, /by turns/],
  ['ENV', ['1A', 'x'], {}, /not the name of a variable/],
  ['ENV', ['A=B', 'x'], {}, /not the name of a variable/],
  ['ENV', ['', 'x'], {}, /not the name of a variable/],
  ['ENV', ['A', 'x'.repeat(65_537)], {}, /longer than/],
  ['WORKDIR', [''], {}, /no path/],
  ['WORKDIR', ['/a', '/b'], {}, /takes a path/],
  ['USER', [''], {}, /no user/],
  ['USER', ['me', 'true'], {}, /takes a user/],
  ['HEALTHCHECK', ['x'], {}, /there is no such step/],
  ['run', ['x'], {}, /there is no such step/],
])('a step %s %j is refused', (type, args, rest, message) => {
  expect(() => step(type, args, rest)).toThrow(
    expect.objectContaining({ code: 'invalid_argument', message: expect.stringMatching(message) }),
  )
})

test('a refusal says which step it is about, as clients count them', () => {
  const steps = [
    { type: 'RUN', args: ['true'] },
    { type: 'RUN', args: [] },
  ]
  expect(() => order({ steps })).toThrow(/^Step 2 \(RUN\)/)
})

test('the longest command is one that Linux takes', () => {
  expect(step('RUN', ['x'.repeat(131_071)])).toMatchObject({ command: expect.any(String) })
})
