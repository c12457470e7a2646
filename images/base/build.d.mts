/** The image's name: `e2b-server/base:<first 12 hex digits of SHA-256 over the recipe's files>`. */
export function baseImageName(): Promise<string>

/**
 * Makes sure that the image exists and resolves with its name. `log` takes one line for each step. Rejects with an
 * `Error` that says what to do.
 */
export function buildBaseImage(options: { log: (line: string) => void }): Promise<string>
