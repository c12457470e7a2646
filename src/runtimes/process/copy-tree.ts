import { runProgram } from './run-program.ts'

/**
 * Copies a directory with all that is in it, as it is: owners, modes, times, links, holes and extended attributes.
 * Links aren't followed. `target` may be an empty directory, or not be there. Blocks are shared where the file system
 * can. On failure `target` holds part of it. Errors: `resource_exhausted` (disk), `internal`, the signal's reason.
 */
export async function copyTree(source: string, target: string, signal: AbortSignal): Promise<void> {
  await runProgram('cp', ['-a', '--reflink=auto', '--no-target-directory', '--', source, target], signal)
}
