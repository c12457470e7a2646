/**
 * Node's requests and responses of HTTP/2 with what they lack of those of HTTP/1.1: that destroying one breaks it off,
 * so that nobody takes it for whole, and that it can be told.
 */
import { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { cut } from './cut.ts'

export class BreakableRequest extends Http2ServerRequest {
  /** Node ends the body of a request that its client has reset, as if it were whole. */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null || !this.aborted) return super.push(chunk, encoding)
    this.destroy()
    return false
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.complete) cut(this.stream)
    callback(error)
  }
}

export class BreakableResponse extends Http2ServerResponse {
  override destroy(): this {
    cut(this.stream)
    return this
  }
}

// Accessors where the types have properties, which a class can't override.
Object.defineProperties(BreakableResponse.prototype, {
  destroyed: {
    get(this: BreakableResponse) {
      return this.stream.destroyed
    },
  },
  writableNeedDrain: {
    get(this: BreakableResponse) {
      return this.stream.writableNeedDrain
    },
  },
})
