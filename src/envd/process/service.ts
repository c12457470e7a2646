import { createInputStreamHandler } from '../rpc/input-stream.ts'
import { createStreamHandler } from '../rpc/stream-handler.ts'
import { createListHandler, createUnaryHandler, type MethodHandler } from '../rpc/unary-handler.ts'
import { connect } from './connect.ts'
import { closeStdin, list, sendSignal, update } from './control.ts'
import { sendInput, streamInput } from './input.ts'
import { start } from './start.ts'

/** process.Process (e2b-wire 3.2). */
export const processMethods: Record<string, MethodHandler> = {
  '/process.Process/List': createListHandler(list),
  '/process.Process/Start': createStreamHandler(start),
  '/process.Process/Connect': createStreamHandler(connect),
  '/process.Process/Update': createUnaryHandler(update),
  '/process.Process/StreamInput': createInputStreamHandler(streamInput),
  '/process.Process/SendInput': createUnaryHandler(sendInput),
  '/process.Process/SendSignal': createUnaryHandler(sendSignal),
  '/process.Process/CloseStdin': createUnaryHandler(closeStdin),
}
