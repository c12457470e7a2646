/** ComputeSDK's provider for E2B: commands, files, a second client of the same sandbox, a snapshot, a port's URL. */
import assert from 'node:assert/strict'
import { e2b } from '@computesdk/e2b'

const compute = e2b({})
const sandbox = await compute.sandbox.create({ timeout: 120_000, metadata: { kept: 'yes' } })
try {
  const ran = await sandbox.runCommand('echo $((6 * 7)); echo said >&2; exit 3')
  assert.deepEqual([ran.exitCode, ran.stdout, ran.stderr], [3, '42\n', 'said\n'])
  const told = await sandbox.runCommand('sh -c \'echo "$X in $PWD"\'', { env: { X: 'told' }, cwd: '/tmp' })
  assert.equal(told.stdout, 'told in /tmp\n')
  await sandbox.filesystem.mkdir('/tmp/checked')
  await sandbox.filesystem.writeFile('/tmp/checked/a.txt', 'kept')
  assert.equal(await sandbox.filesystem.readFile('/tmp/checked/a.txt'), 'kept')
  assert.deepEqual(
    (await sandbox.filesystem.readdir('/tmp/checked')).map(({ name, size }) => [name, size]),
    [['a.txt', 4]],
  )
  await sandbox.filesystem.remove('/tmp/checked/a.txt')
  assert.equal(await sandbox.filesystem.exists('/tmp/checked/a.txt'), false)
  const again = await compute.sandbox.getById(sandbox.sandboxId)
  assert.equal((await again.runCommand('ls -d /tmp/checked')).stdout, '/tmp/checked\n')
  assert.ok((await compute.sandbox.list()).some(({ sandboxId }) => sandboxId === sandbox.sandboxId))
  assert.match(await sandbox.getUrl({ port: 3000 }), new RegExp(`^https://3000-${sandbox.sandboxId}\\.`))
} finally {
  await sandbox.destroy()
}
assert.equal(await compute.sandbox.getById(sandbox.sandboxId), null)
console.log('all done')
