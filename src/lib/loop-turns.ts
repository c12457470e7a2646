/** Resolves after `count` turns of the event loop: what had arrived at this process's sockets by now is read by then. */
export async function loopTurns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
