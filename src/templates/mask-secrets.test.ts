import { expect, test } from 'vitest'
import { createMask } from './mask-secrets.ts'

test('secrets of variables are hidden wherever they stand in a line, and nothing else is', () => {
  const mask = createMask({
    NPM_TOKEN: 'npm_abcdef',
    LONG_SECRET: 'npm_abcdef-and-more',
    PIP_INDEX_URL: 'https://reader:p%40ss-word@mirror.example.org/simple',
    GOPROXY: 'https://onlyatoken@mirror.example.org',
    HTTPS_PROXY: 'http://proxy.example.org:3128',
    SHORT_TOKEN: 'abc',
    LEVEL: 'verbose',
  })
  expect(mask('//registry/:_authToken=npm_abcdef npm_abcdef-and-more')).toBe('//registry/:_authToken=*** ***')
  expect(mask('https://reader:p%40ss-word@mirror.example.org or p@ss-word')).toBe(
    'https://reader:***@mirror.example.org or ***',
  )
  expect(mask('via https://onlyatoken@mirror.example.org')).toBe('via https://***@mirror.example.org')
  const plain = 'proxy.example.org:3128 verbose abc reader'
  expect(mask(plain)).toBe(plain)
})
