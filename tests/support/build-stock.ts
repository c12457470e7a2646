/**
 * `node --import tsx build-stock.ts <name>...`: has stock templates built, where the engine doesn't have them. For runs in
 * domain mode, in which the servers under test are all the names there are, and registries of packages have none.
 */
import { reachRegistries } from './registries.ts'
import { startTestServer } from './server.ts'
import { buildStock } from './stock.ts'

using registries = await reachRegistries()
await using server = await startTestServer({ flags: registries.flags })
for (const name of process.argv.slice(2)) await buildStock(server, name)
