import { Code, ConnectError } from '@connectrpc/connect'
import type { Compression } from '@connectrpc/connect/protocol'
import { compressionGzip } from '@connectrpc/connect-node'

/** The library's gzip, but that what is none is always the client's mistake: cut off, it is `internal` to the library. */
export const gzip: Compression = {
  ...compressionGzip,
  async decompress(bytes, readMaxBytes) {
    try {
      return await compressionGzip.decompress(bytes, readMaxBytes)
    } catch (thrown) {
      const error = ConnectError.from(thrown)
      if (error.code === Code.ResourceExhausted) throw error
      throw new ConnectError('The message is not valid gzip.', Code.InvalidArgument)
    }
  },
}
