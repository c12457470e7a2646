import type { ControlContext } from './context.ts'
import { findTeam } from './find-team.ts'

/** The namespace of a team's names, as in `<namespace>/<name>:<tag>`. Errors: `not_found` (team). */
export async function namespaceOf(ctx: ControlContext, teamId: string): Promise<string> {
  return (await findTeam(ctx, teamId)).slug
}
