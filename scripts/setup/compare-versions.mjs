/**
 * Compares dotted versions number by number (`20.19` and `20.19.0` are equal); whatever follows the leading numbers
 * is ignored. Returns a negative number, 0 or a positive number, as a sort function does.
 *
 * @param {string} a
 * @param {string} b
 */
export function compareVersions(a, b) {
  const left = numbers(a)
  const right = numbers(b)
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

function numbers(version) {
  const leading = /^v?(?:\d+:)?(\d+(?:\.\d+)*)/.exec(version)
  return leading === null ? [0] : leading[1].split('.').map(Number)
}
