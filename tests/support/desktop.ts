/** What a test sees of a desktop by the pictures that the SDK takes of it. */
import type { Sandbox } from '@e2b/desktop'
import { PNG } from 'pngjs'
import { vi } from 'vitest'

/** Pixels of one colour, with the middle of the box around them. */
export interface Area {
  count: number
  x: number
  y: number
}

/** How long a program may take until it shows what it is to show, in milliseconds */
const shownTimeoutMs = 60_000

/** Waits until a condition holds of a desktop, whatever it throws before. */
export function eventually<T>(check: () => Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: shownTimeoutMs, interval: 250 })
}

/** Where a picture, as PNG, has exactly that colour. */
export function areaOf(picture: Uint8Array, [red, green, blue]: readonly [number, number, number]): Area {
  const { width, height, data } = PNG.sync.read(Buffer.from(picture))
  let count = 0
  let [left, top, right, bottom] = [width, height, 0, 0]
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4
      if (data[at] !== red || data[at + 1] !== green || data[at + 2] !== blue) continue
      count++
      left = Math.min(left, x)
      right = Math.max(right, x)
      top = Math.min(top, y)
      bottom = y
    }
  }
  return { count, x: Math.round((left + right) / 2), y: Math.round((top + bottom) / 2) }
}

/** Waits until a screenshot has at least so many pixels of a colour, and resolves with where they are. */
export async function shows(
  desktop: Sandbox,
  colour: readonly [number, number, number],
  atLeast = 50_000,
): Promise<Area> {
  return await eventually(async () => {
    const area = areaOf(await desktop.screenshot(), colour)
    if (area.count < atLeast) throw new Error(`${area.count} pixels of rgb(${colour.join(', ')})`)
    return area
  })
}
