/** Looks at everything `start` needs and, if the server runs, at each of its parts. */
import type { Check, CheckGroup } from '../../cli/actions.ts'
import type { Config } from '../config.ts'
import { readServerInfo } from '../state-dir.ts'
import { lookAtImages } from './images.ts'
import { lookAtLimits } from './limits.ts'
import { lookAtMachine } from './machine.ts'
import { lookAtNames } from './names.ts'
import { lookAtOpenFiles } from './open-files.ts'
import { lookAtParts } from './parts.ts'
import { lookAtPorts } from './ports.ts'
import { lookAtSandbox } from './sandbox.ts'

/** By group. Never throws: what fails is a check that isn't ok. */
export async function diagnose(config: Config): Promise<CheckGroup[]> {
  const info = readServerInfo(config.stateDir)
  const running =
    info?.url == null || info.reach === undefined ? undefined : { ...info, url: info.url, reach: info.reach }
  const looks: Record<string, Promise<Check>[]> = {
    'This machine': [
      ...lookAtMachine(config),
      lookAtOpenFiles(running),
      ...lookAtLimits(config),
      lookAtImages(config),
    ],
    'A sandbox': lookAtSandbox(config, running),
    Ports: lookAtPorts(config, running),
    'The server': lookAtParts(config, running),
    'Names and trust': lookAtNames(config, running),
  }
  return Promise.all(
    Object.entries(looks).map(async ([name, checks]) => ({ name, checks: await Promise.all(checks) })),
  )
}
