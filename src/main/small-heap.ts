/**
 * Imported before everything else of the program. Its start makes garbage faster than anything that it does later, and for that
 * the engine would make its space for new objects as large as it gets, 32 MiB, and leave it so.
 */
import { setFlagsFromString } from 'node:v8'

setFlagsFromString('--semi-space-growth-factor=1')

/** From here on that space grows as the work asks for it, as by the engine's own default. */
export function letHeapGrow(): void {
  setFlagsFromString('--semi-space-growth-factor=2')
}
