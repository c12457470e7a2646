/**
 * What suites wait for: each for the steps of the setup that it names, or for all of it.
 *
 * @returns {{ onDone: (step: string) => void, onAllDone: () => void,
 *   whenReady: (suite: { needs?: readonly string[] }) => Promise<void> }} `whenReady` never rejects
 */
export function createPreparation() {
  const done = new Set()
  const waiting = new Set()
  let isAllDone = false
  const isReady = ({ needs }) => isAllDone || needs?.every((step) => done.has(step)) === true
  const tell = () => {
    for (const each of waiting) {
      if (!isReady(each.suite)) continue
      waiting.delete(each)
      each.resolve()
    }
  }
  return {
    onDone(step) {
      done.add(step)
      tell()
    },
    onAllDone() {
      isAllDone = true
      tell()
    },
    whenReady: (suite) =>
      new Promise((resolve) => {
        waiting.add({ suite, resolve })
        tell()
      }),
  }
}
