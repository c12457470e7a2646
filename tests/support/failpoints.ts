import { Duplex } from 'node:stream'

/**
 * Puts a hook before and after each asynchronous method of a real component, by name: `runtime.pause:before`,
 * `store.sandboxes.update:after`. What the hook throws the caller sees: before, the effect didn't happen; after, it
 * did, but its caller doesn't learn so.
 */
export type Hook = (point: string, args: readonly unknown[]) => void | Promise<void>

/** The same object to whoever uses it. Members named in `parts` are objects whose methods have points too. */
export function withFailpoints<T extends object>(
  target: T,
  name: string,
  hook: Hook,
  parts: readonly string[] = [],
): T {
  return new Proxy(target, {
    get(object, member) {
      const value = Reflect.get(object, member, object)
      if (typeof member !== 'string') return value
      const point = `${name}.${member}`
      if (parts.includes(member) && typeof value === 'object' && value !== null) {
        return withFailpoints(value, point, hook)
      }
      if (typeof value !== 'function' || synchronous.has(member)) return value
      return async (...args: unknown[]) => {
        await hook(`${point}:before`, args)
        const result = await value.apply(object, args)
        try {
          await hook(`${point}:after`, args)
        } catch (error) {
          // A connection whose caller doesn't learn of it is closed, as a dead server's is.
          if (result instanceof Duplex) result.on('error', () => {}).destroy()
          throw error
        }
        return result
      }
    },
  })
}

/** Methods that answer at once, and so can't be awaited. */
const synchronous = new Set(['watch', 'close', 'address'])

/** The members of a store and of a runtime that have methods of their own. */
export const storeParts = [
  'sandboxes',
  'events',
  'templates',
  'builds',
  'layers',
  'teams',
  'apiKeys',
  'webhooks',
  'logs',
  'sandboxMetrics',
] as const
export const runtimeParts = ['images'] as const
