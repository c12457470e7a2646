import { ServerError } from '../../domain/error.ts'
import type { Selector } from '../../guest/selector.ts'
import type { ProcessSelector } from '../../wire/gen/envd/process/process_pb.ts'

/** Errors: `invalid_argument` where nothing is selected. */
export function toSelector(message: ProcessSelector | undefined): Selector {
  switch (message?.selector.case) {
    case 'pid':
      return { pid: message.selector.value }
    case 'tag':
      return { tag: message.selector.value }
    default:
      throw new ServerError('invalid_argument', 'Select a process by pid or tag.')
  }
}
