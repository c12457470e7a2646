import { afterEach, beforeEach, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'
import { templateOf } from '../../../../tests/support/control.ts'

const uuid = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
const id = expect.stringMatching(/^[a-z0-9]{20}$/)
const hash = '0123456789abcdef'.repeat(4)

/** A wall clock that the test sets. */
let now: number
let api: TestApi
beforeEach(async () => {
  now = 1_800_000_000_000
  api = await startApi({ clock: { now: () => (now += 1) } })
})
afterEach(() => api[Symbol.asyncDispose]())

const create = (body: object) => api.ask('POST /v3/templates', { body })
const created = async (body: object): Promise<{ templateID: string; buildID: string; tags: string[] }> => {
  const answer = await create(body)
  expect([answer.statusCode, answer.body]).toEqual([202, expect.stringContaining('templateID')])
  return answer.json()
}
const buildOf = async (buildID: string) => (await api.control.store.builds.find(buildID))!

test('a build waits, of a template that is made with it, with the defaults of E2B', async () => {
  expect(await created({ name: 'My-Template' })).toEqual({
    templateID: id,
    buildID: uuid,
    public: false,
    names: ['team/my-template'],
    tags: ['default'],
    aliases: ['my-template'],
  })
  const [template] = (await api.ask('GET /templates')).json()
  expect(template).toMatchObject({ buildStatus: 'waiting', buildCount: 1, cpuCount: 2, memoryMB: 1024 })
  expect((await api.ask('GET /templates/aliases/my-template')).statusCode).toBe(200)
  const status = await api.ask(`GET /templates/${template.templateID}/builds/${template.buildID}/status`)
  expect(status.json()).toMatchObject({ status: 'waiting', logEntries: [] })
})

test('a second build is of the same template, whatever its name is written like', async () => {
  const first = await created({ name: 'mine', tags: ['v1'], cpuCount: 1, memoryMB: 128 })
  const names = ['mine:v2', 'team/Mine:V3', first.templateID]
  const others = []
  for (const name of names) others.push(await created({ name, cpuCount: 32, memoryMB: 8192 }))
  others.push(await created({ alias: 'mine', tags: ['x', 'X', 'y'], teamID: 'team', cpuCount: null }))
  expect(others.map(({ templateID }) => templateID)).toEqual(Array(4).fill(first.templateID))
  expect(others.map(({ tags }) => tags)).toEqual([['v2'], ['v3'], ['default'], ['x', 'y']])
  expect((await created({ name: 'mine:v4', tags: ['v5', 'v4'] })).tags).toEqual(['v4', 'v5'])
  expect((await api.ask('GET /templates')).json()).toHaveLength(1)
  expect(await buildOf(others[0]!.buildID)).toMatchObject({ cpuCount: 32, memoryMb: 8192, status: 'waiting' })
  expect(await buildOf(first.buildID)).toMatchObject({ status: 'waiting' })
  const theirs = { headers: { 'x-api-key': api.keys.other }, body: { name: 'mine' } }
  expect((await api.ask('POST /v3/templates', theirs)).json()).toMatchObject({ names: ['other/mine'] })
})

test.each<[object, number, RegExp]>([
  [{}, 400, /no 'name'/],
  [{ name: '' }, 400, /no 'name'/],
  [{ name: 'has blank' }, 400, /Invalid name/],
  [{ name: 'x'.repeat(129) }, 400, /Invalid name/],
  [{ name: 'a:' }, 400, /Invalid name/],
  [{ name: ':b' }, 400, /Invalid name/],
  [{ name: 'a:01234567-89ab-cdef-0123-456789abcdef' }, 400, /Invalid name/],
  [{ name: 'a', tags: ['b:c'] }, 400, /Invalid tag/],
  [{ name: 'a', tags: ['01234567-89ab-cdef-0123-456789abcdef'] }, 400, /no UUID/],
  [{ name: 'other/a' }, 400, /namespace of your templates is 'team'/],
  [{ name: 'a', teamID: 'other' }, 403, /not the team of the API key/],
  [{ name: 'a', cpuCount: 0 }, 400, /^CPU count must be at least 1$/],
  [{ name: 'a', cpuCount: 3 }, 400, /^CPU count must be 1 or an even number$/],
  [{ name: 'a', cpuCount: 34 }, 400, /^CPU count must be at most 32$/],
  [{ name: 'a', cpuCount: 1.5 }, 400, /integer/],
  [{ name: 'a', cpuCount: '2' }, 400, /integer/],
  [{ name: 'a', memoryMB: 126 }, 400, /^Memory must be at least 128 MiB$/],
  [{ name: 'a', memoryMB: 1023 }, 400, /^Memory must be divisible by 2$/],
  [{ name: 'a', memoryMB: 2 ** 21 }, 400, /^Memory must be at most/],
  [{ name: 'a', minFreeDiskMb: -1 }, 400, /minFreeDiskMb/],
])('a build of %j is %d', async (body, status, message) => {
  const answer = await create(body)
  expect(answer.json()).toEqual({ code: status, message: expect.stringMatching(message) })
  expect(answer.statusCode).toBe(status)
  expect((await api.ask('GET /templates')).json()).toEqual([])
})

test('a template is no larger than its team may be', async () => {
  await api.control.store.teams.setLimits('team', { vcpu: 4, memoryMb: 2048 })
  expect((await create({ name: 'a', cpuCount: 6 })).json().message).toBe('CPU count exceeds team limits (4)')
  expect((await create({ name: 'a', memoryMB: 2050 })).json().message).toBe(
    'Memory exceeds team limits (2048 MiB)',
  )
  await created({ name: 'a', cpuCount: 4, memoryMB: 2048 })
})

test('a newer build takes the place of those that wait for one of its tags', async () => {
  const first = await created({ name: 'mine', tags: ['v1', 'v2'] })
  const apart = await created({ name: 'mine:v3' })
  const elsewhere = await created({ name: 'other-one', tags: ['v1'] })
  const newer = await created({ name: 'mine:v2' })
  expect(await buildOf(first.buildID)).toMatchObject({
    status: 'error',
    reason: { message: expect.stringContaining(newer.buildID) },
  })
  for (const { buildID } of [apart, elsewhere, newer]) expect((await buildOf(buildID)).status).toBe('waiting')
  const start = await api.ask(`POST /v2/templates/${first.templateID}/builds/${first.buildID}`, {
    body: { fromTemplate: 'base' },
  })
  expect(start.statusCode).toBe(409)
  expect(start.json().message).toMatch(/is error already \(Build '.*' took its place/)
})

test('one that runs is in the way of another with one of its tags, and of no other', async () => {
  const { buildID, templateID } = await created({ name: 'mine', tags: ['v1', 'default'] })
  await api.control.store.builds.update(buildID, { status: 'building' }, 'waiting')
  for (const name of ['mine', 'mine:v1', templateID]) {
    const answer = await create({ name })
    expect([name, answer.statusCode, answer.json().message]).toEqual([
      name,
      409,
      expect.stringMatching(/^Template 'mine' is already being built/),
    ])
  }
  await created({ name: 'mine:v2' })
  expect((await api.ask('GET /templates/mine/tags')).json()).toMatchObject([
    { tag: 'v1', buildID },
    { tag: 'default', buildID },
  ])
})

test('builds that were asked for at the same time are one after another', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => create({ name: 'mine' })))
  const builds = answers.map((answer) => answer.json())
  expect(new Set(builds.map(({ templateID }) => templateID)).size).toBe(1)
  const statuses = await Promise.all(builds.map(async ({ buildID }) => (await buildOf(buildID)).status))
  expect(statuses.filter((status) => status === 'waiting')).toHaveLength(1)
})

test('a hundred builds of a team wait, until they are too old to be started', async () => {
  for (let index = 0; index < 100; index++) await created({ name: `t${index}` })
  const refused = await create({ name: 'one-more' })
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([429, '10'])
  expect(refused.json().message).toContain('maximum number of concurrent template builds')
  await created({ name: 't5' })
  const theirs = { headers: { 'x-api-key': api.keys.other }, body: { name: 'mine' } }
  expect((await api.ask('POST /v3/templates', theirs)).statusCode).toBe(202)
})

test('the name of a snapshot becomes that of a template, and its snapshots stay', async () => {
  const { store } = api.control
  await store.templates.create(
    templateOf({ id: 's0000000000000000000', aliases: ['snap'], kind: 'snapshot' }),
  )
  expect((await created({ name: 'snap:v2' })).templateID).toBe('s0000000000000000000')
  expect((await store.templates.find('s0000000000000000000'))!.kind).toBe('template')
})

test('a team’s own template comes before the server’s of the same name', async () => {
  const { templateID } = await created({ name: 'base' })
  expect((await api.ask('GET /templates/aliases/base')).json()).toEqual({ templateID, public: false })
  const theirs = { headers: { 'x-api-key': api.keys.other } }
  expect((await api.ask('GET /templates/aliases/base', theirs)).json().templateID).toBe('base')
})

test('a build is started by those who may, with what it can begin with', async () => {
  const { buildID, templateID } = await created({ name: 'mine' })
  const start = (body: object, path = `${templateID}/builds/${buildID}`, key = api.keys.team) =>
    api.ask(`POST /v2/templates/${path}`, { headers: { 'x-api-key': key }, body })
  const from = { fromTemplate: 'base' }
  const refused: [number, Promise<{ statusCode: number; body: string }>, string][] = [
    [400, start({}), 'exactly one of'],
    [400, start({ fromImage: 'a', fromTemplate: 'b' }), 'exactly one of'],
    [400, start({ ...from, steps: [{ type: 'NOPE' }] }), 'Step 1 (NOPE)'],
    [400, start({ ...from, steps: [{ args: [] }] }), "no 'type'"],
    [400, start({ ...from, steps: Array(1001).fill({ type: 'RUN', args: ['true'] }) }), 'at most 1000'],
    [400, start({ fromImage: 'a', fromImageRegistry: { type: 'ftp' } }), 'fromImageRegistry'],
    [400, start({ ...from, startCmd: 'x'.repeat(131_072) }), 'startCmd'],
    [404, start({ fromTemplate: 'none' }), "doesn't exist"],
    [404, start({ fromTemplate: 'base:none' }), 'does not exist'],
    [404, start({ fromTemplate: 'mine' }), 'does not exist'],
    [404, start(from, `${templateID}/builds/01234567-89ab-cdef-0123-456789abcdef`), 'Build not found'],
    [404, start(from, `none/builds/${buildID}`), "doesn't exist"],
    [404, start(from, undefined, api.keys.other), "doesn't exist"],
  ]
  for (const [status, asking, message] of refused) {
    const answer = await asking
    expect([answer.statusCode, answer.body]).toEqual([status, expect.stringContaining(message)])
  }
  expect((await buildOf(buildID)).status).toBe('waiting')
})

test('deleting a template ends its builds, and the operator ends those of a team', async () => {
  const { buildID, templateID } = await created({ name: 'mine' })
  const other = await created({ name: 'other-one' })
  expect((await api.ask(`DELETE /templates/${templateID}`)).statusCode).toBe(204)
  expect(await api.control.store.builds.find(buildID)).toBeUndefined()
  expect((await api.ask('GET /templates/aliases/mine')).statusCode).toBe(404)
  const operator = { headers: { 'x-admin-token': api.adminToken } }
  const cancel = (team: string) => api.ask(`POST /admin/teams/${team}/builds/cancel`, operator)
  expect((await cancel('other')).json()).toEqual({ cancelledCount: 0, failedCount: 0 })
  expect((await buildOf(other.buildID)).status).toBe('waiting')
  const cancelled = await cancel('team')
  expect([cancelled.statusCode, cancelled.json()]).toEqual([200, { cancelledCount: 1, failedCount: 0 }])
  expect(await buildOf(other.buildID)).toMatchObject({
    status: 'error',
    reason: { message: "The server's operator cancelled this build." },
  })
  expect((await cancel('none')).statusCode).toBe(404)
})

test('files go by a link that the client can reach, for one upload', async () => {
  const { templateID } = await created({ name: 'mine' })
  const link = async (headers: Record<string, string> = {}, template = templateID) => {
    const asked = { headers: { 'x-api-key': api.keys.team, host: 'box:3000', ...headers } }
    return api.ask(`GET /templates/${template}/files/${hash}`, asked)
  }
  const answer = await link()
  expect(answer.statusCode).toBe(201)
  expect(answer.json()).toEqual({
    present: false,
    url: expect.stringMatching(/^http:\/\/box:3000\/template-files\/[0-9a-f]{64}$/),
  })
  for (const [headers, url] of [
    [
      { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example' },
      'https://api.example/template-files/',
    ],
    [{ 'x-forwarded-prefix': '/e2b/' }, 'http://box:3000/e2b/template-files/'],
    [{ 'x-forwarded-prefix': '/../x?y' }, 'http://box:3000/template-files/'],
    [{ 'x-forwarded-host': 'evil"host' }, 'http://box:3000/template-files/'],
    [{ host: '[::1]:3000' }, 'http://[::1]:3000/template-files/'],
  ] as const) {
    expect((await link(headers)).json().url).toContain(url)
  }
  const put = (url: string, payload: string, headers: Record<string, string> = {}) =>
    api.app.inject({ method: 'PUT', url: new URL(url).pathname, payload, headers })
  const { url } = answer.json()
  expect((await put(url, '{"not": "parsed', { 'content-type': 'application/json' })).statusCode).toBe(200)
  expect((await link()).json()).toMatchObject({ present: true, url: expect.any(String) })
  expect((await api.control.store.templateFiles.find('team', hash))?.sizeBytes).toBe(15)
  const again = await put(url, 'other')
  expect([again.statusCode, again.statusMessage]).toEqual([403, expect.stringContaining('used or expired')])
  expect(again.json()).toMatchObject({ code: 403 })

  const fresh = async () => (await link()).json().url
  expect((await put(await fresh(), 'x'.repeat(1_000_001))).statusCode).toBe(413)
  expect((await put(await fresh(), 'xyz', { 'content-length': '7' })).statusCode).toBe(400)
  const short = await put(await fresh(), '')
  expect([short.statusCode, short.json().message]).toEqual([411, expect.stringContaining('Content-Length')])
  expect((await api.control.store.templateFiles.find('team', hash))?.sizeBytes).toBe(15)

  expect((await link({}, 'none')).statusCode).toBe(404)
  expect((await link({ 'x-api-key': api.keys.other })).statusCode).toBe(404)
  for (const wrong of ['abc', hash.toUpperCase(), `${hash}0`]) {
    expect((await api.ask(`GET /templates/mine/files/${wrong}`)).statusCode).toBe(400)
  }
})

test('the second generation asks by alias', async () => {
  const asked = await api.ask('POST /v2/templates', { body: { alias: 'older', cpuCount: 4 } })
  expect(asked.statusCode).toBe(202)
  const body = asked.json()
  expect(body).toMatchObject({
    templateID: id,
    buildID: uuid,
    cpuCount: 4,
    memoryMB: 1024,
    aliases: ['older'],
  })
  expect(body).not.toHaveProperty('names')
  const again = (await api.ask('POST /v2/templates', { body: { alias: 'older' } })).json()
  expect(again.templateID).toBe(body.templateID)
  expect(again.buildID).not.toBe(body.buildID)
  expect(again.buildCount).toBe(2)
  expect((await buildOf(again.buildID)).status).toBe('waiting')
  for (const [refused, status] of [
    [{}, 400],
    [{ alias: 'x', teamID: 'other' }, 403],
  ] as const)
    expect((await api.ask('POST /v2/templates', { body: refused })).statusCode).toBe(status)
  const start = await api.ask(`POST /templates/older/builds/${again.buildID}`)
  expect([start.statusCode, start.json().message]).toEqual([400, expect.stringContaining('/v2/templates')])
})

/** As clients of the first generation ask, with what they have from a login. */
const first = (path: string, body: object, key = api.keys.team) =>
  api.ask(`POST /templates${path}`, { headers: { authorization: `Bearer ${key}` }, body })

test('the first generation says in a Dockerfile what is built', async () => {
  const { store } = api.control
  const asked = await first('', {
    dockerfile: 'FROM debian:12\nRUN echo "a  b"\nCMD ["never"]',
    alias: 'old:v1',
    startCmd: 'serve',
    readyCmd: 'true',
    cpuCount: 1,
    memoryMB: 512,
    teamID: 'team',
  })
  expect(asked.statusCode).toBe(202)
  const { templateID, buildID } = asked.json()
  expect(asked.json()).toEqual({
    templateID: id,
    buildID: uuid,
    public: false,
    aliases: ['old'],
    cpuCount: 1,
    memoryMB: 512,
    diskSizeMB: expect.any(Number),
    envdVersion: expect.any(String),
    buildCount: 1,
    createdAt: expect.any(String),
    updatedAt: expect.any(String),
    createdBy: null,
    lastSpawnedAt: null,
    spawnCount: 0,
  })
  const step = { force: false }
  expect(await store.builds.plan(buildID)).toEqual({
    tags: ['v1'],
    minFreeDiskMb: null,
    order: {
      from: { image: 'debian:12', credentials: null },
      steps: [
        { ...step, type: 'USER', name: 'root' },
        { ...step, type: 'WORKDIR', path: '/' },
        { ...step, type: 'RUN', command: 'echo "a  b"', user: null },
        { ...step, type: 'USER', name: 'user' },
        { ...step, type: 'WORKDIR', path: '/home/user' },
      ],
      force: false,
      startCmd: 'serve',
      readyCmd: 'true',
    },
  })
  const renamed = await first(`/${templateID}`, { dockerfile: 'FROM debian:12', alias: 'newer' })
  expect([renamed.statusCode, renamed.json()]).toMatchObject([202, { templateID, aliases: ['newer'] }])
  const same = await first('/newer', { dockerfile: 'FROM debian:12' })
  expect([same.statusCode, same.json()]).toMatchObject([
    202,
    { templateID, aliases: ['newer'], buildCount: 3 },
  ])
  expect((await buildOf(renamed.json().buildID)).reason!.message).toContain(same.json().buildID)
  const nameless = (await first('', { dockerfile: 'FROM debian:12' })).json()
  expect(nameless).toMatchObject({ templateID: id, aliases: [] })
  const taken = await first(`/${nameless.templateID}`, { dockerfile: 'FROM debian:12', alias: 'newer' })
  expect(taken.statusCode).toBe(409)
  expect((await first('', { dockerfile: 'FROM debian:12', alias: 'newer' })).json()).toMatchObject({
    templateID,
    buildCount: 4,
  })
})

test.each<[string, object, number, RegExp]>([
  ['', {}, 400, /no 'dockerfile'/],
  ['', { dockerfile: 7 }, 400, /'dockerfile'/],
  ['', { dockerfile: '' }, 400, /no FROM/],
  ['', { dockerfile: 'FROM a\nFROM b' }, 400, /several stages/],
  ['', { dockerfile: 'FROM a\nCOPY one two' }, 400, /copies 'one'.*"e2b template create"/],
  ['', { dockerfile: 'FROM a\nADD one two' }, 400, /copies 'one'.*"e2b template create"/],
  ['', { dockerfile: 'FROM $A' }, 400, /not the name of an image/],
  ['', { dockerfile: 'FROM a', alias: 'has blank' }, 400, /Invalid name/],
  ['', { dockerfile: 'FROM a', cpuCount: 3 }, 400, /even number/],
  ['', { dockerfile: 'FROM a', teamID: 'other' }, 403, /not the team/],
  ['/none', { dockerfile: 'FROM a' }, 404, /doesn't exist/],
  ['/base', { dockerfile: 'FROM a' }, 404, /doesn't exist/],
])('of the first generation %j with %j is %d', async (path, body, status, message) => {
  const answer = await first(path, body)
  expect(answer.json()).toEqual({ code: status, message: expect.stringMatching(message) })
  expect(answer.statusCode).toBe(status)
  expect((await api.ask('GET /templates')).json()).toEqual([])
})

test('a body of the first generation has its bounds', async () => {
  const long = (length: number) => `FROM a\nRUN ${'x'.repeat(length)}`
  for (const [body, message] of [
    [{ dockerfile: long(65_536) }, 'longer than 65536 bytes'],
    [{ dockerfile: long(1_100_000) }, 'longer than 1024 KiB'],
    [{ dockerfile: 'FROM a', startCmd: 'x'.repeat(131_072) }, 'startCmd'],
  ] as const) {
    const { statusCode, body: text } = await first('', body)
    expect([statusCode, text]).toEqual([400, expect.stringContaining(message)])
  }
})

test('a build of the first generation is its team’s alone', async () => {
  const asked = await first('', { dockerfile: 'FROM debian:12', alias: 'old' })
  const { templateID, buildID } = asked.json()
  for (const path of [`/${templateID}`, `/${templateID}/builds/${buildID}`]) {
    expect((await first(path, { dockerfile: 'FROM a' }, api.keys.other)).statusCode).toBe(404)
  }
  expect((await first('', { dockerfile: 'FROM a' }, 'e2b_none')).statusCode).toBe(401)
})
