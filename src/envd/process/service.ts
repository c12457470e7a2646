import type { ServiceImpl } from '@connectrpc/connect'
import type { Process } from '../../wire/gen/envd/process/process_pb.ts'
import { unary } from '../rpc/rpc-call.ts'
import { connect } from './connect.ts'
import { closeStdin, list, sendSignal, update } from './control.ts'
import { sendInput, streamInput } from './input.ts'
import { start } from './start.ts'

/** process.Process (e2b-wire 3.2). */
export const processService: ServiceImpl<typeof Process> = {
  list: unary(list),
  connect,
  start,
  update: unary(update),
  streamInput: unary(streamInput),
  sendInput: unary(sendInput),
  sendSignal: unary(sendSignal),
  closeStdin: unary(closeStdin),
}
