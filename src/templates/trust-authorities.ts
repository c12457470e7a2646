/** Makes an image trust more certificate authorities than its own: those of the operator's proxy or mirror. */
import { createHash } from 'node:crypto'
import { exec } from '../guest/exec.ts'
import type { Guest } from '../guest/guest.ts'
import { write } from '../guest/write.ts'
import { type CommandOptions, follow } from './run-command.ts'
import { authoritiesFile, trustScript } from './trust-script.ts'

export interface Authorities {
  /** Changes with the certificates, and with what is done with them */
  version: string
  /**
   * `first`: before packages are installed, so that these can be fetched; what the image has is added to. `last`: the trust
   * store as it stays, and what programs with a store of their own need to know, as variables. What fails is a line of the
   * log: most images work without.
   */
  trust(
    guest: Guest,
    phase: 'first' | 'last',
    options: CommandOptions & { env: Record<string, string> },
  ): Promise<Record<string, string>>
}

/** `pem`: certificates, each as one block. */
export function createAuthorities(pem: string): Authorities {
  const version = createHash('sha256').update(pem).update(trustScript).digest('hex').slice(0, 12)

  return {
    version,
    async trust(guest, phase, { signal, onLine, env }) {
      if (phase === 'first') await write(guest, { path: authoritiesFile, user: 'root' }, pieces(pem), signal)
      let bundle: string | undefined
      let said = 'no output'
      const request = { cmd: '/bin/sh', args: ['-c', trustScript, 'sh', phase], env, cwd: '/', user: 'root' }
      const exit = await follow(await exec(guest, { ...request, stdin: false }, signal), (_stream, line) => {
        const found = /^bundle=(\/.*)$/.exec(line)?.[1]
        if (found === undefined) said = line
        else bundle = found
      })
      if (phase === 'first') return {}
      if (exit.exitCode !== 0 || bundle === undefined) {
        await onLine?.(
          'stderr',
          `The image does not trust the authorities of --sandbox-ca (${exit.status}): ${said}`,
        )
        return {}
      }
      // Node.js adds this file to what it comes with; the others read no file but the one that they are given.
      return { NODE_EXTRA_CA_CERTS: authoritiesFile, SSL_CERT_FILE: bundle, REQUESTS_CA_BUNDLE: bundle }
    },
  }
}

/** As the agent takes them. */
async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}
