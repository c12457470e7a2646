import { Sandbox } from 'e2b'
import { sample, timed } from '../../src/bench/statistics.ts'
import { prepareHostileTenant } from '../../tests/support/hostile-tenant.ts'
import { startTestServer } from '../../tests/support/server.ts'
import type { Group } from '../group.ts'
import { ms, spread } from '../report.ts'

const others = 20

/** What everybody else notices while a tenant tries to stop the server: commands of 20 sandboxes, beside quiet ones. */
export const benchHostile: Group = async ({ report }) => {
  const sdkEnv = { ...process.env }
  await using server = await startTestServer()
  const tenant = await prepareHostileTenant(server)
  const sandboxes: Sandbox[] = []
  for (let i = 0; i < others; i++) sandboxes.push(await Sandbox.create({ timeoutMs: 1_200_000 }))
  const run = async (until: () => boolean) => {
    const durations: number[] = []
    await Promise.all(
      sandboxes.map(async (sandbox) => {
        while (!until()) durations.push(...(await sample(() => sandbox.commands.run('true'), { count: 1 })))
      }),
    )
    return durations
  }
  const memoryBefore = server.residentBytes()
  let isOver = false
  const attacked = timed(() => tenant.attack()).finally(() => {
    isOver = true
  })
  const during = await run(() => isOver)
  const attackMs = await attacked
  const grown = server.residentBytes() - memoryBefore
  const quietUntil = performance.now() + attackMs
  const quiet = await run(() => performance.now() > quietUntil)
  report(
    `commands.run('true') of ${others} sandboxes during attacks | without`,
    spread(during),
    spread(quiet),
  )
  report(
    'the attacks, and what the server grew by | –',
    `${ms(attackMs)}, ${(grown / 2 ** 20).toFixed(0)} MB`,
    '–',
  )
  await tenant.kill()
  await Promise.all(sandboxes.map((sandbox) => sandbox.kill()))
  process.env = sdkEnv
}
