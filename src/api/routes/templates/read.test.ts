import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'
import { buildOf, rowOf, templateOf } from '../../../../tests/support/control.ts'
import { eventOf } from '../../../control/lifecycle.ts'

const mine = 'm0000000000000000000'
const theirs = 't0000000000000000000'
const [first, second, snapshot] = [randomUUID(), randomUUID(), randomUUID()]
const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/)

let api: TestApi
beforeEach(async () => {
  api = await startApi()
  const { builds, tags, templates } = api.control.store
  const template = templateOf({ id: mine, aliases: ['mine'], createdAt: 10, updatedAt: 20 })
  const sized = { templateId: mine, cpuCount: 4, memoryMb: 2048, diskMb: 512 }
  await builds.create(buildOf({ ...sized, id: first, createdAt: 11, finishedAt: 15 }), { template })
  await builds.create(buildOf({ ...sized, id: second, status: 'building', createdAt: 12, startedAt: 13 }), {
    plan: { tags: ['v2', 'default'], minFreeDiskMb: null },
  })
  await tags.assign(mine, ['default', 'v1'], first, 20)
  const taken = templateOf({ id: 's0000000000000000000', aliases: ['snap'], kind: 'snapshot' })
  const origin = { sandboxId: 'isource', templateId: 'base' }
  await builds.create(buildOf({ id: snapshot, templateId: taken.id, origin }), { template: taken })
  await tags.assign(taken.id, ['default'], snapshot, 3)
  await templates.create(templateOf({ id: theirs, teamId: 'other', aliases: ['theirs'] }))
  await builds.create(buildOf({ id: randomUUID(), templateId: theirs, teamId: 'other' }))
})
afterEach(() => api[Symbol.asyncDispose]())

const json = async (what: string, body?: unknown) => {
  const answer = await api.ask(what, body === undefined ? {} : { body })
  return [answer.statusCode, answer.body === '' ? '' : answer.json()]
}

test('templates are listed with what their builds are: the sizes of the ready one, the status of the newest', async () => {
  const listed = {
    templateID: mine,
    buildID: first,
    buildStatus: 'building',
    buildCount: 2,
    cpuCount: 4,
    memoryMB: 2048,
    diskSizeMB: 512,
    envdVersion: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    public: false,
    aliases: ['mine'],
    names: ['team/mine'],
    createdAt: '1970-01-01T00:00:00.010Z',
    updatedAt: '1970-01-01T00:00:00.020Z',
    createdBy: null,
    lastSpawnedAt: null,
    spawnCount: 0,
  }
  for (const path of ['/templates', '/v2/templates', '/templates?teamID=team', '/v2/templates?teamID=team']) {
    expect(await json(`GET ${path}`)).toEqual([200, [listed]])
  }
  const counted = await api.ask('GET /templates')
  const row = rowOf({ id: 'ispawned', templateId: mine, state: 'running' })
  await api.control.store.sandboxes.create(row, eventOf(row, { type: 'created' }, 30))
  expect((await api.ask('GET /templates')).json()[0]).toEqual({
    ...counted.json()[0],
    lastSpawnedAt: '1970-01-01T00:00:00.030Z',
    spawnCount: 1,
  })
  expect((await json('GET /v2/templates?teamID=other'))[0]).toBe(403)
  expect((await json('GET /templates?teamID=other'))[0]).toBe(403)
})

test('lists come by pages, and the last page says no next one', async () => {
  const { builds } = api.control.store
  for (let index = 0; index < 5; index++) {
    const template = templateOf({ id: `page${index}`, aliases: [`page-${index}`], createdAt: 100 })
    await builds.create(buildOf({ templateId: template.id }), { template })
  }
  const seen: string[] = []
  let token: unknown
  do {
    const answer = await api.ask(`GET /v2/templates?limit=2${token ? `&nextToken=${token}` : ''}`)
    seen.push(...answer.json().map(({ templateID }: { templateID: string }) => templateID))
    token = answer.headers['x-next-token']
  } while (token !== undefined)
  expect(seen).toEqual(['page4', 'page3', 'page2', 'page1', 'page0', mine])
  expect((await json('GET /v2/templates?limit=0'))[0]).toBe(400)
  expect((await json('GET /v2/templates?nextToken=guessed'))[0]).toBe(400)

  const page = await api.ask('GET /templates/mine?limit=1')
  expect(page.json()).toMatchObject({ templateID: mine, names: ['team/mine'], public: false })
  expect(page.json().builds).toEqual([
    expect.objectContaining({ buildID: second, status: 'building', updatedAt: '1970-01-01T00:00:00.013Z' }),
  ])
  const rest = await api.ask(`GET /templates/${mine}?limit=1&nextToken=${page.headers['x-next-token']}`)
  expect(rest.json().builds).toEqual([
    expect.objectContaining({
      buildID: first,
      status: 'ready',
      finishedAt: '1970-01-01T00:00:00.015Z',
      cpuCount: 4,
      memoryMB: 2048,
    }),
  ])
  expect(rest.headers).not.toHaveProperty('x-next-token')
})

test('a status has the log from an offset on, and nothing behind its end', async () => {
  const { buildLogs } = api.control.store
  const entry = (message: string, level: 'info' | 'error' | 'debug' = 'info', step: string | null = '1') => ({
    ...{ at: Number(message), level, message, step },
  })
  await buildLogs.append(second, [entry('1', 'debug', null), entry('2'), entry('3', 'error')])
  const messages = async (path: string) => {
    const { logEntries, logs } = (await api.ask(`GET /templates/${mine}/builds/${second}${path}`)).json()
    return (logEntries ?? logs).map(({ message }: { message: string }) => message).join('')
  }
  for (const [query, expected] of [
    ['', '123'],
    ['?logsOffset=1', '23'],
    ['?logsOffset=1&limit=1', '2'],
    ['?limit=0', ''],
    ['?level=info', '23'],
    ['?level=ERROR', '3'],
    ['?level=info&logsOffset=1', '3'],
    ['?logsOffset=3', ''],
    ['?logsOffset=2147483647', ''],
  ]) {
    expect([query, await messages(`/status${query}`)]).toEqual([query, expected])
  }
  for (const [query, expected] of [
    ['', '123'],
    ['?limit=2', '12'],
    ['?direction=backward', '321'],
    ['?cursor=2', '23'],
    ['?cursor=2&direction=backward&source=persistent', '21'],
    ['?level=error&source=temporary', '3'],
  ]) {
    expect([query, await messages(`/logs${query}`)]).toEqual([query, expected])
  }
  const status = await api.ask(`GET /templates/mine/builds/${second}/status`)
  expect(status.json()).toMatchObject({ templateID: mine, buildID: second, status: 'building', logs: [] })
  expect(status.json()).not.toHaveProperty('reason')
  expect(status.json().logEntries[1]).toEqual({
    ...{ timestamp: '1970-01-01T00:00:00.002Z', message: '2', level: 'info', step: '1' },
  })
  const reason = { message: 'it fails', step: '1' }
  await api.control.store.builds.update(second, { status: 'error', reason }, 'building')
  const failed = (await api.ask(`GET /templates/mine/builds/${second}/status?logsOffset=3`)).json()
  expect(failed).toMatchObject({ status: 'error', logEntries: [], reason })
  expect(failed.reason.logEntries.map(({ message }: { message: string }) => message)).toEqual(['2', '3'])
  for (const query of ['level=loud', 'logsOffset=-1', 'limit=101', 'limit=1e1'])
    expect((await json(`GET /templates/mine/builds/${second}/status?${query}`))[0]).toBe(400)
  expect((await json(`GET /templates/mine/builds/${second}/logs?direction=up`))[0]).toBe(400)
})

test('tags are given to ready builds, go over, and are taken away; a build that runs shows those that are free', async () => {
  const tagsOf = async (name: string) =>
    Object.fromEntries(
      (await api.ask(`GET /templates/${name}/tags`))
        .json()
        .map(({ tag, buildID }: { tag: string; buildID: string }) => [tag, buildID]),
    )
  expect(await tagsOf('mine')).toEqual({ default: first, v1: first, v2: second })
  expect(await json('POST /templates/tags', { target: 'mine:v1', tags: ['Prod', 'stable', 'prod'] })).toEqual(
    [201, { buildID: first, tags: ['prod', 'stable'] }],
  )
  expect(await tagsOf(mine)).toEqual({ default: first, v1: first, v2: second, prod: first, stable: first })
  expect(await json('POST /templates/tags', { target: `team/mine:${first}`, tags: ['v2'] })).toEqual([
    201,
    { buildID: first, tags: ['v2'] },
  ])
  expect(await json('DELETE /templates/tags', { name: 'mine', tags: ['prod', 'v2', 'never'] })).toEqual([
    204,
    '',
  ])
  expect(await tagsOf('mine')).toEqual({ default: first, v1: first, v2: second, stable: first })
  expect(await json('POST /templates/tags', { target: 'snap', tags: ['kept'] })).toEqual([
    201,
    { buildID: snapshot, tags: ['kept'] },
  ])
  expect(await tagsOf('team%2Fsnap')).toEqual({ default: snapshot, kept: snapshot })
  expect(await json('GET /templates/base/tags')).toEqual([
    200,
    [{ tag: 'default', buildID: uuid, createdAt: expect.any(String) }],
  ])
})

test.each([
  ['POST', { target: ':x', tags: ['a'] }, 400, /Invalid target/],
  ['POST', { target: 'mine:', tags: ['a'] }, 400, /Invalid target/],
  ['POST', { target: 'mine', tags: [] }, 400, /at least 1/],
  ['POST', { target: 'mine', tags: ['a:b'] }, 400, /Invalid tag 'a:b'/],
  ['POST', { target: 'mine', tags: [''] }, 400, /Invalid tag/],
  ['POST', { target: 'mine', tags: ['x'.repeat(129)] }, 400, /Invalid tag/],
  ['POST', { target: 'mine', tags: [randomUUID()] }, 400, /no UUID/],
  ['POST', { target: 'mine', tags: 'a' }, 400, /an array/],
  ['POST', { tags: ['a'] }, 400, /'target'/],
  ['POST', { target: 'mine:v2', tags: ['a'] }, 404, /Tag 'v2' does not exist for template/],
  ['POST', { target: `mine:${second}`, tags: ['a'] }, 404, /does not exist/],
  ['POST', { target: 'none', tags: ['a'] }, 404, /doesn't exist/],
  ['POST', { target: 'base', tags: ['a'] }, 404, /doesn't exist/],
  ['POST', { target: theirs, tags: ['a'] }, 404, /doesn't exist/],
  ['DELETE', { name: 'mine', tags: ['default'] }, 400, /can't be removed/],
  ['DELETE', { name: 'mine:v1', tags: ['v1'] }, 400, /without a tag/],
  ['DELETE', { name: 'none', tags: ['v1'] }, 404, /doesn't exist/],
  ['DELETE', { name: theirs, tags: ['v1'] }, 404, /doesn't exist/],
])('%s of tags %j is %d', async (method, body, status, message) => {
  expect(await json(`${method} /templates/tags`, body)).toEqual([
    status,
    { code: status, message: expect.stringMatching(message) },
  ])
})

test('a template has at most a thousand tags', async () => {
  const tags = Array.from({ length: 998 }, (_, index) => `t${index}`)
  await api.control.store.tags.assign(mine, tags, first, 5)
  expect((await json('POST /templates/tags', { target: 'mine', tags: ['t5'] }))[0]).toBe(201)
  expect((await json('POST /templates/tags', { target: 'mine', tags: ['more'] }))[0]).toBe(429)
})

test('a published template is there for others by id and full name, until it is taken back', async () => {
  const asOther = { headers: { 'x-api-key': api.keys.other } }
  const seen = async () => {
    const names = [mine, 'team%2Fmine']
    const answers = await Promise.all(names.map((name) => api.ask(`GET /templates/${name}/tags`, asOther)))
    return answers.map(({ statusCode }) => statusCode)
  }
  expect(await seen()).toEqual([404, 404])
  expect(await json('PATCH /v2/templates/mine', { public: true })).toEqual([200, { names: ['team/mine'] }])
  expect(await seen()).toEqual([200, 200])
  // What is under way is nobody else's business.
  expect((await api.ask(`GET /templates/${mine}/tags`, asOther)).body).not.toContain(second)
  expect(await json(`PATCH /templates/${mine}`, { public: false })).toEqual([200, ''])
  expect(await seen()).toEqual([404, 404])
  expect(await json('PATCH /v2/templates/mine', {})).toEqual([200, { names: ['team/mine'] }])
  expect((await json('PATCH /v2/templates/mine', { public: 'yes' }))[0]).toBe(400)
  expect((await json('PATCH /v2/templates/base', { public: false }))[0]).toBe(404)
})

test('an API key does as a bearer token, and another team’s templates and builds are like unknown ones', async () => {
  const bearer = { headers: { authorization: `Bearer ${api.keys.team}` } }
  expect((await api.ask('GET /templates', bearer)).statusCode).toBe(200)
  expect(
    (await api.ask('GET /templates', { headers: { authorization: 'Bearer sk_e2b_x' } })).statusCode,
  ).toBe(401)
  const [build] = await api.control.store.builds.list({ templateId: theirs })
  const probes: [string, unknown?][] = [
    ['GET /templates/{}'],
    ['GET /templates/{}/tags'],
    [`GET /templates/{}/builds/${build!.id}/status`],
    [`GET /templates/{}/builds/${build!.id}/logs`],
    ['PATCH /v2/templates/{}', { public: true }],
    ['PATCH /templates/{}', { public: true }],
    ['DELETE /templates/{}'],
  ]
  for (const [what, body] of probes) {
    const [status, answer] = await json(what.replace('{}', theirs), body)
    const [same, unknown] = await json(what.replace('{}', 'u0000000000000000000'), body)
    expect([what, status, same]).toEqual([what, 404, 404])
    expect(JSON.stringify(answer).replaceAll(theirs, 'u0000000000000000000')).toBe(JSON.stringify(unknown))
  }
  const [status, answer] = await json(`GET /templates/mine/builds/${build!.id}/status`)
  expect([status, answer.message]).toEqual([404, expect.stringMatching(/^Build not found/)])
})
