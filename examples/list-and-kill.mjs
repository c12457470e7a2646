// Find sandboxes by their metadata, connect to one by its id, change its lifetime, end them all.
import { Sandbox } from 'e2b'

const metadata = { example: `list-and-kill-${process.pid}` }
const created = []
try {
  for (let i = 0; i < 3; i++) created.push(await Sandbox.create({ metadata }))

  const pages = Sandbox.list({ query: { metadata }, limit: 2 })
  const found = []
  while (pages.hasNext) found.push(...(await pages.nextItems()))
  console.log(`Found ${found.length} of ${created.length}`)

  const again = await Sandbox.connect(found[0].sandboxId)
  await again.setTimeout(30_000)
  const { endAt } = await again.getInfo()
  console.log(`Ends within 30 s: ${endAt.getTime() - Date.now() <= 30_000}`)
} finally {
  const killed = await Promise.all(created.map(({ sandboxId }) => Sandbox.kill(sandboxId)))
  console.log(`Killed: ${killed.join(' ')}, still running: ${await created[0]?.isRunning()}`)
}
