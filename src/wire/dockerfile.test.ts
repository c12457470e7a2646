import { expect, test } from 'vitest'
import { readDockerfile } from './dockerfile.ts'

const stepsOf = (...lines: string[]) => readDockerfile(['FROM debian:12', ...lines].join('\n')).steps.slice(2)
const user = { type: 'USER', args: ['user'] }
const workdir = { type: 'WORKDIR', args: ['/home/user'] }

test('a Dockerfile is read as E2B’s clients read it', () => {
  const text = `# syntax=docker/dockerfile:1
    FROM registry.example/team/image:7 AS base
    ARG VERSION=3 OTHER
    ENV PATH=/opt/bin:$PATH NAME="two words"
    ENV OLD style value
    COPY --chown=app:app --chmod=0755 one two /dst/
    ADD three.tar /
    RUN apt-get update \\
      && apt-get install -y git
    WORKDIR /srv
    USER app
    EXPOSE 80
    CMD ["serve", "--name", "two words"]`
  expect(readDockerfile(text)).toEqual({
    fromImage: 'registry.example/team/image:7',
    startCmd: "serve --name 'two words'",
    steps: [
      { type: 'USER', args: ['root'] },
      { type: 'WORKDIR', args: ['/'] },
      { type: 'ENV', args: ['VERSION', '3', 'OTHER', ''] },
      { type: 'ENV', args: ['PATH', '/opt/bin:$PATH', 'NAME', 'two words'] },
      { type: 'ENV', args: ['OLD', 'style value'] },
      { type: 'COPY', args: ['one', '/dst/', 'app:app', '0755'] },
      { type: 'COPY', args: ['two', '/dst/', 'app:app', '0755'] },
      { type: 'COPY', args: ['three.tar', '/', '', ''] },
      { type: 'RUN', args: ['apt-get update       && apt-get install -y git'] },
      { type: 'WORKDIR', args: ['/srv'] },
      { type: 'USER', args: ['app'] },
    ],
  })
})

test('where it doesn’t say, sandboxes are those of user in his home, and nothing is started', () => {
  expect(stepsOf('RUN true')).toEqual([{ type: 'RUN', args: ['true'] }, user, workdir])
  expect(readDockerfile('FROM debian').startCmd).toBeNull()
  expect(readDockerfile('FROM debian\nENTRYPOINT node server.js').startCmd).toBe('node server.js')
})

test('a RUN is run as it is written', () => {
  const runOf = (...lines: string[]) => stepsOf(...lines)[0]
  const run = (command: string) => ({ type: 'RUN', args: [command] })
  expect(runOf('RUN echo "a  b" \\', '# why', '  c')).toEqual(run('echo "a  b"   c'))
  expect(runOf('RUN ["echo", "a  b"]')).toEqual(run("echo 'a  b'"))
  expect(runOf('RUN <<-"END"', '\techo a', '\tEND')).toEqual(run('echo a'))
  expect(runOf('RUN cat <<END > /a', 'a', 'END')).toEqual(run('cat <<END > /a\na\nEND'))
  expect(runOf('RUN --mount=type=cache,target=/var/cache apt-get update')).toEqual(run('apt-get update'))
})

test('sources may be a list, with blanks in their names', () => {
  expect(stepsOf('COPY ["a b", "c/"]')[0]).toEqual({ type: 'COPY', args: ['a b', 'c/', '', ''] })
})

test.each([
  ['2000 lines', '# a\n', 2000],
  ['8000 words', 'RUN a ', 4000],
  ['1000 steps', 'RUN a\n', 1000],
  ['65536 bytes', 'é', 32_768],
])('more than %s are refused', (limit, part, count) => {
  const message = expect.stringContaining(`${limit}.`)
  expect(() => readDockerfile(`FROM a\n${part.repeat(count)}`)).toThrow(expect.objectContaining({ message }))
})

test.each([
  ['', /no FROM/],
  ['RUN true', /no FROM/],
  ['FROM a\nFROM b', /several stages/],
  ['FROM a\nCOPY one', /source and a destination/],
  ['FROM a\nCOPY --from=b one two', /--from is not supported/],
  ['FROM a\nADD https://example.com/x /', /fetch it by RUN/],
  ['FROM a\nADD git@example.com:x /', /fetch it by RUN/],
  ['FROM a\nCOPY <<END /a\na\nEND', /here-document/],
  ['FROM a\nRUN --mount=type=secret,id=x true', /RUN --mount/],
  ['FROM a\nRUN --network=none true', /RUN --network/],
  ['FROM a\nHEALTHCHECK NONE', /HEALTHCHECK/],
  ['FROM a\nONBUILD RUN true', /ONBUILD/],
])('%j is refused', (text, message) => {
  expect(() => readDockerfile(text)).toThrow(
    expect.objectContaining({ code: 'invalid_argument', message: expect.stringMatching(message) }),
  )
})
