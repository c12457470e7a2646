import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir, withTeam } from '../../actions.ts'

export function addTemplatesDelete(templates: Command, actions: Actions): void {
  withTeam(withStateDir(templates.command('delete')))
    .description(
      'delete a template or a snapshot with all its builds; a stock template is built again when it is needed',
    )
    .argument('<template>', 'its name or id')
    .action((template: string, flags: Flags) => actions.templates.delete(flags, template))
}
