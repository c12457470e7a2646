/**
 * Lets one waiting function go on. A wake-up with nobody waiting is lost, so whoever waits looks at its condition first
 * and again afterwards.
 */
export interface Waiter {
  wait(): Promise<void>
  /** May be passed on as a listener. */
  wake: () => void
}

export function createWaiter(): Waiter {
  let resume: (() => void) | undefined
  return {
    wait: () =>
      new Promise((resolve) => {
        resume = resolve
      }),
    wake() {
      resume?.()
      resume = undefined
    },
  }
}
