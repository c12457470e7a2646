/**
 * What a run in domain mode needs around it, without a trace on the machine: an authority that its programs trust from
 * their start, and a name space in which the system's resolver is the server under test.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../setup/paths.mjs'

/** As tests/support/mode.ts has it. */
const domain = 'e2b.local'

/**
 * Calls `run` with a command to put before that of the tests, and variables for it.
 *
 * @template T
 * @param {(around: { prefix: string[], env: Record<string, string> }) => Promise<T>} run
 * @returns {Promise<T>}
 */
export async function inDomainMode(run) {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-domain-mode-'))
  try {
    const authority = join(folder, 'authority')
    const script = join(root, 'tests', 'support', 'make-authority.ts')
    execFileSync(process.execPath, ['--import', 'tsx', script, authority, domain], { cwd: root })
    const resolvConf = join(folder, 'resolv.conf')
    // The tests write into it where the servers under test are, before what was there.
    writeFileSync(resolvConf, '')
    const before = readFileSync('/etc/resolv.conf', 'utf8')
    return await run({
      // Only for these programs and what they start; the Docker engine is outside, and so are sandboxes.
      // Their addresses are the same each time, so one suite of this mode runs after the other.
      prefix: [
        ...['flock', '--no-fork', join(tmpdir(), 'e2b-server-test-domain.lock')],
        ...['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"'],
        resolvConf,
      ],
      env: {
        E2B_TEST_MODE: 'domain',
        E2B_TEST_CA: authority,
        E2B_TEST_RESOLV_CONF: resolvConf,
        E2B_TEST_RESOLV_CONF_BEFORE: before,
        NODE_EXTRA_CA_CERTS: join(authority, 'ca.pem'),
        SSL_CERT_FILE: join(authority, 'ca-bundle.pem'),
      },
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
