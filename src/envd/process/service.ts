import type { ServiceImpl } from '@connectrpc/connect'
import type { Process } from '../../wire/gen/envd/process/process_pb.ts'
import { unary } from '../rpc/rpc-call.ts'
import { closeStdin, list, sendSignal, update } from './control.ts'
import { sendInput, streamInput } from './input.ts'

/** process.Process but for its streams of output, `start.ts` and `connect.ts` (e2b-wire 3.2). */
export const processService: Omit<ServiceImpl<typeof Process>, 'start' | 'connect'> = {
  list: unary(list),
  update: unary(update),
  streamInput: unary(streamInput),
  sendInput: unary(sendInput),
  sendSignal: unary(sendSignal),
  closeStdin: unary(closeStdin),
}
