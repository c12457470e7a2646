/** How many files and connections the server's processes may have open. */
import type { Check } from '../../cli/actions.ts'
import { connectionBounds, openFilesMax } from '../descriptors.ts'
import { check } from './check.ts'
import type { Running } from './running.ts'

/** Below this a few hundred clients meet refusals. */
const fewOpenFiles = 4096

export function lookAtOpenFiles(running: Running | undefined): Promise<Check> {
  return check('open files', async () => {
    const most = openFilesMax(running?.pid)
    const { clients, sandbox } = connectionBounds(most)
    const detail = `${most} for each process: ${clients} connections of clients, ${sandbox} requests of one sandbox at once`
    if (most >= fewOpenFiles) return { detail }
    const remedy =
      'Raise the hard limit before the start: "ulimit -n 65536", or LimitNOFILE=65536 of a systemd unit.'
    return { detail, state: 'warn', remedy }
  })
}
