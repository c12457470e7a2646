/** The program that gives the kernel its rules for what sandboxes may reach. */
import { installPackages } from './apt.mjs'
import { findProgram } from './find-program.mjs'

/**
 * Engines bring `iptables`, which makes its rules in the same part of the kernel without `nft`. Who isn't root can't
 * make rules, so needs no program for it; the server says what that means.
 *
 * @param {{ program?: string, uid?: number }} [options]
 * @returns {import('./run-steps.mjs').Step}
 */
export function networkRulesStep({ program = 'nft', uid = process.getuid?.() } = {}) {
  return {
    name: 'network rules',
    isDone: async () => uid !== 0 || findProgram(program) !== undefined,
    run: (progress) => installPackages(['nftables'], { missing: 'The program nft is missing', progress }),
  }
}
