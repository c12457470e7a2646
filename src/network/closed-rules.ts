/**
 * The rules of one closed sandbox, for `nft -f` in its own network namespace: they go with it, hold whatever address it
 * has, and none of its processes may change them. No name is resolved either: the engine answers names from inside of
 * the namespace, but asks this machine's resolver about them, so a question would get out though no packet does.
 */
import { removalOf } from './rules.ts'

const table = 'e2b_closed'
/** Where Docker engines answer names in a container */
const engineNames = '127.0.0.11'

/**
 * Closes: what is on the way out is refused, so that programs don't wait, connections from before included; what comes in
 * is dropped. The loopback stays, and, where there is one, the port by which the server reaches the agent. `isFresh`: no
 * rules of ours can be there, and not looking for them saves two thirds of the time, which is the kernel's for removals.
 */
export function closedRules({
  agentPort,
  isFresh,
}: {
  agentPort?: number | undefined
  isFresh: boolean
}): string {
  const agent = (line: string) => (agentPort === undefined ? [] : [line])
  const refuse = 'reject with icmpx type admin-prohibited'
  const output = [
    'type filter hook output priority filter; policy drop;',
    `ip daddr ${engineNames} ${refuse}`,
    'oif lo accept',
    ...agent(`tcp sport ${agentPort} ct direction reply ct state established accept`),
    refuse,
  ]
  const input = [
    'type filter hook input priority filter; policy drop;',
    'iif lo accept',
    ...agent(`tcp dport ${agentPort} ct direction original accept`),
  ]
  const chain = (name: string, lines: readonly string[]) =>
    `  chain ${name} {\n    ${lines.join('\n    ')}\n  }\n`
  return `${isFresh ? '' : removalOf(table)}table inet ${table} {\n${chain('output', output)}${chain('input', input)}}\n`
}

/** Opens again. */
export function openRules(): string {
  return removalOf(table)
}
