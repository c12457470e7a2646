/**
 * `node --import tsx build-stock.ts <name>...`: has stock templates built, where the engine doesn't have them, for suites that
 * then find them there: two at a time, as a build waits for registries and disks about as long as it computes.
 */
import { reachRegistries } from './registries.ts'
import { startTestServer } from './server.ts'
import { buildStock } from './stock.ts'

const sideBySide = 2

using registries = await reachRegistries()
await using server = await startTestServer({ flags: registries.flags })
const left = process.argv.slice(2)
const buildNext = async () => {
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const begunAt = performance.now()
    await buildStock(server, name)
    console.log(`${name}: there after ${Math.round((performance.now() - begunAt) / 1000)} s`)
  }
}
const outcomes = await Promise.allSettled(Array.from({ length: sideBySide }, buildNext))
for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
