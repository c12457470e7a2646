/** Templates begin with images of a private registry, which others don't get from this server. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Holdings, holdingsOf } from '../support/holdings.ts'
import { login, type Registry, serviceAccountJson, startRegistry } from '../support/registry.ts'
import { type Sdk, sdks } from '../support/sdks.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { makeTeam } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

const timeout = 300_000
let registry: Registry
let server: TestServer
let holdings: Holdings
let image: string
let otherKey: string
beforeAll(async () => {
  registry = await startRegistry({ isClosed: true })
  image = `${registry.host}/team/private:1`
  await registry.push('team/private:1', { config: { Env: ['FROM_IMAGE=yes'] } })
  server = await startTestServer({ flags: ['--registry-allow', '127.0.0.0/8'] })
  holdings = await holdingsOf(server.stateDir)
  otherKey = (await makeTeam(server.stateDir)).apiKey
}, timeout)
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await registry?.[Symbol.asyncDispose]()
})

const isHere = async () => (await holdings.named(image.slice(0, image.lastIndexOf(':')))).includes(image)
const small = { cpuCount: 1, memoryMB: 512 } as const
const name = () => `private-${randomUUID().slice(0, 8)}`

describe.each(sdks)('e2b $version: private registries', ({ sdk }) => {
  const { Sandbox, Template } = sdk as Sdk
  const refused = async (template: Parameters<typeof Template.build>[0], apiKey?: string) => {
    const options = { ...small, ...(apiKey !== undefined && { apiKey }) }
    const error = await Template.build(template, name(), options).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf((sdk as Sdk).BuildError)
    return (error as Error).message
  }

  test('an image comes with a user and a password, or with a Google key, and stays with none', {
    timeout,
    ...proves('Template.build'),
  }, async () => {
    const called = name()
    // Each release anew, so that each of them asks the registry.
    const step = `cp /file /copied-${randomUUID()}`
    const lines: string[] = []
    await Template.build(Template().fromImage(image, login).runCmd(step, { user: 'root' }), called, {
      ...small,
      onBuildLogs: ({ message }) => void lines.push(message),
    })
    expect(lines.join('\n')).toContain(`Pulling ${image}`)
    expect(lines.join('\n')).not.toContain(login.password)
    const sandbox = await Sandbox.create(called)
    expect((await sandbox.commands.run('cat /copied-*; echo $FROM_IMAGE')).stdout).toBe('textyes\n')
    await sandbox.kill()
    const google = Template().fromGCPRegistry(image, { serviceAccountJSON: JSON.parse(serviceAccountJson) })
    await Template.build(google.runCmd(step, { user: 'root' }), name(), small)
    expect(await isHere()).toBe(false)
  })

  test('without credentials, or with others, it is refused with the reason', { timeout }, async () => {
    const { host } = registry
    expect(await refused(Template().fromImage(image))).toContain(
      `The registry ${host} gives ${image} to nobody`,
    )
    const wrong = { ...login, password: 'not this one' }
    const said = await refused(Template().fromImage(image, wrong))
    expect(said).toContain(`The registry ${host} refuses the credentials for ${image}`)
    expect(said).not.toContain(wrong.password)
    const account = { serviceAccountJSON: { type: 'user' } }
    expect(await refused(Template().fromGCPRegistry(image, account))).toContain(
      'are not the JSON key of a Google service account',
    )
    const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a secret', region: 'nowhere' }
    expect(await refused(Template().fromAWSRegistry(image, keys))).toContain(
      'nowhere is not the name of an AWS region',
    )
    const away = await refused(Template().fromAWSRegistry(image, { ...keys, region: 'eu-central-1' }))
    expect(away).toMatch(/^AWS (gives no password|refuses the credentials)/)
  })

  test('while one team builds with it, another does not get it, and a crash leaves it to nobody', {
    timeout,
  }, async () => {
    const step = `touch /begun-${randomUUID()}; sleep 600`
    const template = Template().fromImage(image, login).runCmd(step)
    const info = await Template.buildInBackground(template, name(), small)
    const isRunning = async () => {
      const { logEntries } = await Template.getBuildStatus(info)
      return logEntries.some(({ message }) => message.includes('RUN touch /begun'))
    }
    await expect.poll(isRunning, { timeout: 120_000, interval: 200 }).toBe(true)
    expect(await isHere()).toBe(true)
    const id = await holdings.idOf(image)
    expect(await refused(Template().fromImage(image), otherKey)).toContain('to nobody without credentials')
    // Not by its id either, whole or in part, nor the images that this server has made.
    const own = (await holdings.images()).find((each) => each.startsWith('e2b-server/template:'))!
    for (const other of [id, id.slice(7, 19), own, await holdings.idOf(own)])
      expect(await refused(Template().fromImage(other), otherKey)).not.toBe('')

    await server.end('SIGKILL')
    // As reconciliation would end it, half a minute later.
    await holdings.removeGuests()
    expect(await isHere()).toBe(true)
    await server.restart()
    await expect.poll(isHere, { timeout: 120_000, interval: 200 }).toBe(false)
  })
})
