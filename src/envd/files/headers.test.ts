import { describe, expect, it } from 'vitest'
import type { Entry } from '../../guest/entry.ts'
import { chooseEncoding } from './accept-encoding.ts'
import { select } from './conditions.ts'
import { contentDisposition, etag, fileHeaders } from './content-headers.ts'

describe('chooseEncoding', () => {
  it.each([
    [undefined, 'identity'],
    ['', 'identity'],
    ['gzip', 'gzip'],
    ['x-gzip;q=0.5', 'gzip'],
    ['gzip, deflate', 'identity'],
    ['br, gzip, deflate', 'identity'],
    ['gzip;q=1, identity;q=0.5', 'gzip'],
    ['gzip, identity', 'identity'],
    ['gzip;q=0', 'identity'],
    ['*', 'identity'],
    ['*;q=0', undefined],
    ['identity;q=0', undefined],
    ['identity;q=0, *', 'gzip'],
    ['br, identity;q=0, gzip;q=0.1', 'gzip'],
    ['br, *;q=0', undefined],
    ['gzip;q=x', 'identity'],
  ])('answers %j with %s', (header, expected) => {
    expect(chooseEncoding(header)).toBe(expected)
  })
})

describe('contentDisposition', () => {
  it.each([
    ['a-b_c.txt', 'inline; filename=a-b_c.txt'],
    ['a b "c" \\.txt', 'inline; filename="a b \\"c\\" \\\\.txt"'],
    ['ü (1).txt', "inline; filename*=utf-8''%C3%BC%20%281%29.txt"],
    ['a\r\nb', "inline; filename*=utf-8''a%0D%0Ab"],
    ['\ud800', "inline; filename*=utf-8''%EF%BF%BD"],
    ['', 'inline; filename=""'],
  ])('names %j', (name, expected) => {
    expect(contentDisposition(name)).toBe(expected)
  })
})

describe('fileHeaders', () => {
  const disposition = (name: string, policy: string) => {
    const entry = { name } as Entry
    return fileHeaders(entry, { hasHeader: (asked) => asked === policy })['content-disposition']
  }
  it.each(['a.html', 'a.HTM', 'a.svg', 'a.xml', 'a.js', 'a.mjs', 'a.css', 'a.pdf', 'a.wasm'])(
    'has %s saved under a name that is not the sandbox’s own',
    (name) => {
      expect(disposition(name, 'content-security-policy')).toBe(`attachment; filename=${name}`)
      expect(disposition(name, 'none')).toBe(`inline; filename=${name}`)
    },
  )
  it.each(['a.png', 'a.txt', 'a.csv', 'a.mp4', 'a.json'])('has %s shown', (name) => {
    expect(disposition(name, 'content-security-policy')).toBe(`inline; filename=${name}`)
  })
})

describe('select', () => {
  const entry = {
    name: 'a',
    type: 'file',
    path: '/a',
    size: 10,
    mode: 0o644,
    permissions: '-rw-r--r--',
    owner: 'root',
    group: 'root',
    modifiedMs: 1500,
    metadata: {},
  } as const

  it.each([
    ['bytes=0-', { status: 206, start: 0, length: 10 }],
    ['bytes=9-100', { status: 206, start: 9, length: 1 }],
    ['bytes=-100', { status: 206, start: 0, length: 10 }],
    ['bytes=-0', { status: 416 }],
    ['bytes=10-', { status: 416 }],
    ['bytes=5-4', { status: 200 }],
    ['bytes=-', { status: 200 }],
    ['bytes=0-1,3-4', { status: 200 }],
    ['bytes=99999999999999999999-', { status: 200 }],
    ['lines=1-2', { status: 200 }],
  ])('gives %s its part', (range, expected) => {
    expect(select({ range }, entry)).toEqual(expected)
  })

  it('counts seconds, as HTTP does', () => {
    expect(select({ 'if-modified-since': 'Thu, 01 Jan 1970 00:00:01 GMT' }, entry)).toEqual({ status: 304 })
    expect(select({ 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }, entry)).toEqual({ status: 200 })
    expect(select({ 'if-modified-since': 'soon' }, entry)).toEqual({ status: 200 })
  })

  it('is for the state of a file that the request wants', () => {
    const tag = etag(entry)
    for (const headers of [
      { 'if-match': `"x", ${tag}` },
      { 'if-match': '*' },
      { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:01 GMT' },
      { 'if-unmodified-since': 'soon' },
      { 'if-match': tag, 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
    ]) {
      expect(select(headers, entry)).toEqual({ status: 200 })
    }
    for (const headers of [
      { 'if-match': '"x"' },
      { 'if-match': `W/${tag}` },
      { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
      { 'if-match': '"x"', 'if-none-match': tag, range: 'bytes=0-1' },
    ]) {
      expect(select(headers, entry)).toEqual({ status: 412 })
    }
  })

  it('lets tags win over times', () => {
    const headers = { 'if-none-match': '"other"', 'if-modified-since': 'Thu, 01 Jan 2070 00:00:00 GMT' }
    expect(select(headers, entry)).toEqual({ status: 200 })
    expect(select({ 'if-none-match': '*' }, entry)).toEqual({ status: 304 })
  })
})
