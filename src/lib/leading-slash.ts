/**
 * A request's target with no more than one slash in front: what clients send to `//files` whose base address ends in a
 * slash. Any other target is given back as it is.
 */
export function withOneLeadingSlash(target: string): string {
  return target.startsWith('//') ? target.replace(/^\/+/, '/') : target
}
