import { expect, test } from 'vitest'
import { compareVersions } from './compare-versions.mjs'

test.each([
  ['20.19', '20.19.0', 0],
  ['20.9.1', '20.19', -1],
  ['v22.0.0', '20.19', 1],
  ['1.63.0+dfsg1-2', '1.63', 0],
  ['1:1.96.0~deb12u2', '1.85', 1],
  ['1.100', '1.99', 1],
  ['nonsense', '1', -1],
])('%s compared with %s', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign)
  expect(Math.sign(compareVersions(b, a))).toBe(sign === 0 ? 0 : -sign)
})
