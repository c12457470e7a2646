/** Which process an operation is about. */
export type Selector = { pid: number } | { tag: string }

/** The highest process id. */
export const maxPid = 0xffff_ffff
