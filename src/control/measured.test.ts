import { beforeEach, expect, test } from 'vitest'
import { startControl } from '../../tests/support/control.ts'
import { ServerError } from '../domain/error.ts'
import type { MeasuredOperation } from '../domain/telemetry.ts'
import { createSandbox } from './create-sandbox.ts'
import { createExpiry } from './expiry.ts'
import { measured } from './measured.ts'
import { createWakeSandbox } from './wake-sandbox.ts'

let told: MeasuredOperation[]
beforeEach(() => {
  told = []
})
const telemetry = { operation: (each: MeasuredOperation) => void told.push(each), request() {} }
const phasesOf = (index: number) => told[index]!.phases.map(({ name }) => name)

test('phases add up to the whole, and whoever asks hears of them as they end', async () => {
  const heard: string[] = []
  const options = {
    operation: 'pause',
    cause: 'request',
    since: performance.now() - 1000,
    phase: (name: string) => heard.push(name),
  } as const
  const answer = await measured({ telemetry }, options, async (phase) => {
    phase('store')
    phase('pause')
    return 7
  })
  expect(answer).toBe(7)
  expect(heard).toEqual(['queue', 'store', 'pause'])
  const [only] = told
  expect(only).toMatchObject({ operation: 'pause', cause: 'request', outcome: 'ok' })
  expect(only!.phases[0]!.ms).toBeGreaterThanOrEqual(1000)
  const sum = only!.phases.reduce((ms, each) => ms + each.ms, 0)
  expect(only!.totalMs).toBeGreaterThanOrEqual(sum)
  expect(only!.totalMs - sum).toBeLessThan(only!.totalMs / 2)
})

test('a failure is told by its code', async () => {
  const fail = async () => {
    throw new ServerError('unavailable', 'Away.')
  }
  await expect(measured({ telemetry }, { operation: 'kill', cause: 'admin' }, fail)).rejects.toThrow('Away.')
  expect(told).toMatchObject([{ operation: 'kill', outcome: 'unavailable', phases: [] }])
})

test('what nobody asked for is measured too: deadlines, and wakes by traffic', async () => {
  let now = 1_800_000_000_000
  await using parts = await startControl({ telemetry, clock: { now: () => now } })
  const settings = {
    teamId: 'team',
    template: 'base',
    timeoutS: 60,
    secure: false,
    metadata: {},
    envVars: {},
    allowInternetAccess: null,
    network: null,
    autoPauseMemory: true,
    autoResume: true,
  }
  const options = { signal: AbortSignal.timeout(20_000), phase: () => {} }
  const kept = await createSandbox(parts.control, { ...settings, onTimeout: 'pause' }, options)
  await createSandbox(parts.control, { ...settings, autoResume: false, onTimeout: 'kill' }, options)
  now += 61_000
  const expiry = createExpiry(parts.control)
  await expiry.look()
  await expiry.idle()
  const wake = createWakeSandbox(parts.control, (id) => parts.directory.find(id) !== undefined)
  const request = { port: 80, accessToken: undefined, trafficAccessToken: undefined }
  expect(await wake(kept.id, request, options.signal)).toBe(true)
  await parts.control.endings.idle()
  const behind = told.findIndex(({ operation }) => operation === 'destroy')
  expect(told.splice(behind, 1)).toMatchObject([{ cause: 'timeout', outcome: 'ok' }])
  const what = told.map(({ operation, cause, outcome }) => `${operation} ${cause} ${outcome}`)
  expect(what.slice(0, 2)).toEqual(['create request ok', 'create request ok'])
  expect(what.slice(2, 4).toSorted()).toEqual(['kill timeout ok', 'pause timeout ok'])
  expect(what.slice(4)).toEqual(['resume traffic ok'])
  expect(phasesOf(0)).toEqual(['template', 'admission', 'store', 'agent', 'configure', 'record'])
  expect(phasesOf(4)).toEqual(['queue', 'admission', 'recover', 'resume', 'record'])
})
