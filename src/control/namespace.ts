import type { ControlContext } from './context.ts'

/** The namespace of a team's names, as in `<namespace>/<name>:<tag>`. */
export async function namespaceOf({ store }: ControlContext, _teamId: string): Promise<string> {
  const team = await store.teams.first()
  return (team?.name ?? 'default').toLowerCase().replaceAll(/[^a-z0-9_-]+/g, '-')
}
