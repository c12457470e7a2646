import { closeSync, fchmodSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'

/** Where lines go once their file is full; what was there before is dropped. */
export const olderOf = (path: string) => `${path}.1`

/**
 * A file for lines, with mode 0600, of at most `maxBytes`: one that is full becomes `<path>.1`, so that both together
 * are bounded. Never throws: a full disk costs lines of the log, not the server.
 */
export class RotatingFile {
  readonly #path: string
  readonly #maxBytes: number
  #fd: number | undefined
  #bytes = 0

  constructor(path: string, maxBytes: number) {
    this.#path = path
    this.#maxBytes = maxBytes
  }

  /** `line` with its newline; written when this returns. */
  write(line: string): void {
    const bytes = Buffer.from(line)
    try {
      if (this.#fd === undefined) this.#open()
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#maxBytes) {
        this.close()
        renameSync(this.#path, olderOf(this.#path))
        this.#open()
      }
      this.#bytes += writeSync(this.#fd!, bytes)
    } catch {
      // The next line opens it anew.
      this.close()
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  #open(): void {
    this.#fd = openSync(this.#path, 'a', 0o600)
    fchmodSync(this.#fd, 0o600)
    this.#bytes = fstatSync(this.#fd).size
  }
}
