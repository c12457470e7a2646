/** What a connection fails with where nobody listens. Whatever else it fails with may be load, and passes. */
const deserted: readonly (string | undefined)[] = ['ENOENT', 'ENOTSOCK', 'ELOOP', 'ECONNREFUSED']

/** Whether a connection has failed because nobody listens there. */
export function isDeserted({ errno }: { errno: string | undefined }): boolean {
  return deserted.includes(errno)
}
