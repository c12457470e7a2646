/** Looks at everything `start` needs and, if the server runs, at each of its parts. */
import type { Check } from '../../cli/actions.ts'
import type { Config } from '../config.ts'
import { readServerInfo } from '../state-dir.ts'
import { lookAtMachine } from './machine.ts'
import { lookAtNames } from './names.ts'
import { lookAtOpenFiles } from './open-files.ts'
import { lookAtParts } from './parts.ts'
import { lookAtPorts } from './ports.ts'

/** Never throws: what fails is a check that isn't ok. */
export async function diagnose(config: Config): Promise<Check[]> {
  const info = readServerInfo(config.stateDir)
  const running =
    info?.url == null || info.reach === undefined ? undefined : { ...info, url: info.url, reach: info.reach }
  const looks = [
    ...lookAtMachine(config),
    lookAtOpenFiles(running),
    ...lookAtPorts(config, running),
    ...lookAtParts(config, running),
    ...lookAtNames(config, running),
  ]
  return Promise.all(looks)
}
