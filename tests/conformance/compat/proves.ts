declare module 'vitest' {
  interface TaskMeta {
    /** SDK methods whose behaviour the test shows, as docs/compat.md names them */
    proves?: string[]
  }
}

/** The options of a test that shows how these SDK methods behave; docs/compat.md rests on such tests. */
export function proves(...methods: string[]): { meta: { proves: string[] } } {
  return { meta: { proves: methods } }
}
