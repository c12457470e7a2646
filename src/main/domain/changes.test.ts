import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Change, lookAt, make, markedLines, prepare, readBytes, takeBack } from './changes.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e2b-changes-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const text = markedLines('e2b.local', ['nameserver 127.0.0.1'])
const aside = { begin: 'nameserver', prefix: '#e2b-server e2b.local# ' }
const change = (): Change => ({ path: join(folder, 'resolv.conf'), text, aside })
const put = (bytes: string) => writeFileSync(change().path, bytes, 'latin1')
const now = () => readBytes(change().path)
const settled = { isSettled: true }

/** What such a file may hold, and what it never should. */
const contents = fc
  .array(
    fc.oneof(
      fc.constantFrom('nameserver 192.0.2.1\n', 'search a.example\r\n', '\n', '# end\n', 'options ndots:2\n'),
      fc.string({ unit: 'binary-ascii', maxLength: 20 }),
      fc.constantFrom('\xff\xfe\0', 'nameserver 192.0.2.2', ' nameserver 192.0.2.3\n'),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''))

describe('taking it back', () => {
  test('gives every file back byte for byte, made once or more often', () => {
    fc.assert(
      fc.property(contents, fc.integer({ min: 1, max: 3 }), (before, times) => {
        put(before)
        let prepared = prepare(change())
        for (let time = 0; time < times; time++) {
          prepared = prepare(change(), prepared)
          make(prepared)
          expect(lookAt(change())).toBe('there')
        }
        takeBack(prepared, settled)
        expect(now()).toBe(before)
        takeBack(prepared, settled)
        expect(now()).toBe(before)
      }),
    )
  })

  test('gives it back after a write that broke off anywhere, there and back', () => {
    fc.assert(
      fc.property(contents, fc.nat(), fc.boolean(), (before, at, isOnTheWayBack) => {
        put(before)
        const prepared = prepare(change())
        make(prepared)
        const whole = isOnTheWayBack ? before : now()!
        put(whole.slice(0, at % (whole.length + 1)))
        takeBack(prepared, { isSettled: false })
        expect(now()).toBe(before)
      }),
    )
  })

  test('leaves what others have written since', () => {
    fc.assert(
      fc.property(contents, contents, (before, more) => {
        put(before.endsWith('\n') ? before : `${before}\n`)
        const prepared = prepare(change())
        make(prepared)
        put(`search b.example\n${now()}${more}`)
        takeBack(prepared, settled)
        expect(now()).toBe(`search b.example\n${before.endsWith('\n') ? before : `${before}\n`}${more}`)
      }),
    )
  })

  test('finds its lines by their marks when they were edited', () => {
    put('nameserver 192.0.2.1\n')
    const prepared = prepare(change())
    make(prepared)
    put(now()!.replace('nameserver 127.0.0.1', 'nameserver 127.0.0.2'))
    expect(lookAt(change())).toBe('changed')
    takeBack(prepared, settled)
    expect(now()).toBe('nameserver 192.0.2.1\n')

    make(prepared)
    put(now()!.replace('# end e2b-server e2b.local\n', ''))
    takeBack(prepared, settled)
    expect(now()).toBe('nameserver 192.0.2.1\n')
  })

  test('leaves the lines of another domain', () => {
    put('nameserver 192.0.2.1\n')
    const other: Change = {
      path: change().path,
      text: markedLines('b.e2b.local', ['nameserver 127.0.0.2']),
      aside: { ...aside, prefix: '#e2b-server b.e2b.local# ' },
    }
    const [first, second] = [prepare(change()), other]
    make(first)
    const prepared = prepare(second)
    make(prepared)
    takeBack(first, settled)
    expect(now()).toBe(
      `${other.text}#e2b-server b.e2b.local# nameserver 192.0.2.1\n`.replace(
        /#e2b-server b.e2b.local# (?=nameserver 192)/,
        '',
      ),
    )
    expect(lookAt(other)).toBe('changed')
    takeBack(prepared, settled)
    expect(now()).toBe('nameserver 192.0.2.1\n')
  })
})

describe('a file that was not there', () => {
  const inside = (): Change => ({ path: join(folder, 'a/b/e2b.conf'), text })

  test('goes, with the folders that were made for it', () => {
    const prepared = prepare(inside())
    make(prepared)
    expect(statSync(inside().path).mode & 0o777).toBe(0o644)
    const again = prepare(inside(), prepared)
    make(again)
    takeBack(again, settled)
    expect(existsSync(join(folder, 'a'))).toBe(false)
  })

  test('stays where somebody has written into it, and so do folders that are used', () => {
    const prepared = prepare(inside())
    make(prepared)
    writeFileSync(inside().path, `${readFileSync(inside().path)}mine\n`)
    takeBack(prepared, settled)
    expect(readFileSync(inside().path, 'utf8')).toBe('mine\n')
  })

  test('goes after a write that broke off', () => {
    const prepared = prepare(inside())
    make(prepared)
    writeFileSync(inside().path, text.slice(0, 20))
    takeBack(prepared, { isSettled: false })
    expect(existsSync(join(folder, 'a'))).toBe(false)
  })

  test('is not one that was empty', () => {
    put('')
    const prepared = prepare(change())
    make(prepared)
    const again = prepare(change(), prepared)
    make(again)
    takeBack(again, settled)
    expect(now()).toBe('')
  })
})

test('a link stays one, and the file keeps its mode', () => {
  const target = join(folder, 'target')
  writeFileSync(target, 'nameserver 192.0.2.1\n')
  chmodSync(target, 0o600)
  mkdirSync(join(folder, 'etc'))
  const path = join(folder, 'etc/resolv.conf')
  symlinkSync('../target', path)
  const prepared = prepare({ ...change(), path })
  make(prepared)
  expect(readFileSync(target, 'utf8')).toBe(`${text}#e2b-server e2b.local# nameserver 192.0.2.1\n`)
  expect(statSync(target).mode & 0o777).toBe(0o600)
  takeBack(prepared, settled)
  expect(readFileSync(path, 'utf8')).toBe('nameserver 192.0.2.1\n')
  expect(statSync(target).mode & 0o777).toBe(0o600)
})
