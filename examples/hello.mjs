// A sandbox, one command, its output and its exit code.
import { CommandExitError, Sandbox } from 'e2b'

const sandbox = await Sandbox.create()
try {
  const { stdout } = await sandbox.commands.run('echo "Hello from $(whoami) on $(uname -s)"')
  console.log(stdout.trim())

  const failure = await sandbox.commands.run('exit 3').catch((error) => error)
  console.log(
    `A failing command throws: ${failure instanceof CommandExitError}, exit code ${failure.exitCode}`,
  )
} finally {
  await sandbox.kill()
}
