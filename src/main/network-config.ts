/** The flags about networks: what sandboxes and webhooks may reach, and which registries are asked for images. */
import { z } from 'zod'
import { parseCidr } from '../network/ranges.ts'

/** A list of ranges with commas. `ipv6`: whether it may name such ranges. */
const ranges = (name: string, { ipv6 }: { ipv6: boolean }) =>
  z.string().transform((text, context) => {
    const blocks = text
      .split(',')
      .map((block) => block.trim())
      .filter((block) => block !== '')
    for (const block of blocks) {
      const family = parseCidr(block)?.family
      if (family === undefined)
        context.addIssue(`${name} must be ranges such as 10.1.0.0/16, with commas between several`)
      else if (family === 'ipv6' && !ipv6)
        context.addIssue(`${name} must be ranges of IPv4, as sandboxes have no IPv6`)
    }
    return blocks
  })

/** A flag, and its variable. */
const flag = (name: string, variable: string) =>
  z
    .enum(['true', '1', 'false', '0', ''], { error: `${name} is a flag, and ${variable} true or false` })
    .transform((text) => text === 'true' || text === '1')

export const networkSchema = {
  /** Whether sandboxes reach whatever this machine does */
  openEgress: flag('--open-egress', 'E2B_SERVER_OPEN_EGRESS'),
  /** Closed ranges that sandboxes reach all the same */
  egressAllow: ranges('--egress-allow', { ipv6: false }),
  /** Closed ranges that webhooks are sent to all the same */
  webhookAllow: ranges('--webhook-allow', { ipv6: true }),
  /** Asked for images in Docker Hub's place: `host[:port][/prefix]` */
  registryMirror: z
    .string()
    .regex(
      /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?(\/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*$/,
      '--registry-mirror must be a host with, if need be, a port and a path: registry.example.org:5000/hub',
    )
    .optional(),
  /** Closed ranges whose registries are asked all the same */
  registryAllow: ranges('--registry-allow', { ipv6: true }),
  /** Whether the native runtime takes images from the machine's Docker engine */
  imagesFromEngine: flag('--images-from-engine', 'E2B_SERVER_IMAGES_FROM_ENGINE'),
  /** No registry is asked for anything */
  offline: flag('--offline', 'E2B_SERVER_OFFLINE'),
}
