// A command in the background that is fed through its standard input.
import { Sandbox } from 'e2b'

const sandbox = await Sandbox.create()
try {
  const sort = await sandbox.commands.run('sort --numeric-sort', { background: true, stdin: true })
  for (const number of [30, 4, 100]) await sandbox.commands.sendStdin(sort.pid, `${number}\n`)
  await sandbox.commands.closeStdin(sort.pid)
  const { stdout, exitCode } = await sort.wait()
  console.log(`sorted: ${stdout.trim().split('\n').join(' ')}, exit code ${exitCode}`)
} finally {
  await sandbox.kill()
}
