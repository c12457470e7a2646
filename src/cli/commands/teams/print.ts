import type { TeamRow } from '../../actions.ts'

/** One line: what is left to the server's own limits isn't named. */
export function printTeam({ id, slug, name, createdAt, limits }: TeamRow): void {
  const set = Object.entries(limits).filter(([, value]) => value !== 'default')
  const text = set.length === 0 ? 'default limits' : set.map((pair) => pair.join('=')).join(' ')
  console.log([id, slug, createdAt.toISOString(), text, name].join('  '))
}
