// Several sandboxes at once. Each has its own files, processes and environment.
import { Sandbox } from 'e2b'

const names = ['ada', 'grace', 'barbara']
const sandboxes = await Promise.all(names.map((NAME) => Sandbox.create({ envs: { NAME } })))
try {
  await Promise.all(sandboxes.map((sandbox) => sandbox.commands.run('echo "$NAME was here" > note.txt')))
  const notes = await Promise.all(sandboxes.map((sandbox) => sandbox.files.read('note.txt')))
  for (const note of notes) console.log(note.trim())
} finally {
  await Promise.all(sandboxes.map((sandbox) => sandbox.kill()))
}
