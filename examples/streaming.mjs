// Output as it comes, from standard output and standard error, while the command still runs.
import { Sandbox } from 'e2b'

const sandbox = await Sandbox.create()
try {
  const startedAt = Date.now()
  const show = (stream) => (text) => {
    for (const line of text.trim().split('\n')) console.log(`${stream}: ${line}`)
  }
  const script = 'for i in 1 2 3; do echo "step $i"; sleep 0.3; done; echo "all done" >&2'
  let firstAt
  await sandbox.commands.run(script, {
    onStdout: (text) => {
      firstAt ??= Date.now() - startedAt
      show('out')(text)
    },
    onStderr: show('err'),
  })
  console.log(`The first line came before the end: ${firstAt < Date.now() - startedAt - 500}`)
} finally {
  await sandbox.kill()
}
