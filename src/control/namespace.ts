import type { ControlContext } from './context.ts'

/** The namespace of a team's names, as in `<namespace>/<name>:<tag>`. */
export async function namespaceOf({ store }: ControlContext, teamId: string): Promise<string> {
  return (await store.teams.find(teamId))?.slug ?? 'default'
}
