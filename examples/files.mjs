// Files: write, read, list, move, ask about, remove.
import { Sandbox } from 'e2b'

const sandbox = await Sandbox.create()
const { files } = sandbox
try {
  await files.write('notes/first.txt', 'one\n')
  await files.write([
    { path: 'notes/second.txt', data: 'two\n' },
    { path: 'notes/deep/third.txt', data: 'three\n' },
  ])
  const entries = await files.list('notes', { depth: 2 })
  console.log(entries.map(({ type, name }) => `${type} ${name}`).join(', '))

  const { path } = await files.rename('notes/first.txt', 'notes/1.txt')
  const info = await files.getInfo(path)
  console.log(`${info.path}: ${info.size} bytes, ${info.permissions}, owned by ${info.owner}`)
  console.log(`Its bytes: ${Buffer.from(await files.read(path, { format: 'bytes' })).toString('hex')}`)

  await files.remove('notes')
  console.log(`Still there after remove: ${await files.exists('notes')}`)
} finally {
  await sandbox.kill()
}
