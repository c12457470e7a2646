import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isDebianLike, readOsRelease, requireChangeable } from './system.mjs'
import { temporaryFolder } from './temporary-folder.mjs'

const debian =
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'
const mint = "NAME='Linux Mint'\nID=linuxmint\nID_LIKE='ubuntu debian'\n"
const fedora = 'PRETTY_NAME="Fedora Linux 42"\nID=fedora\n'

function osRelease(text) {
  const file = join(temporaryFolder(), 'os-release')
  writeFileSync(file, text)
  return readOsRelease(file)
}

test('os-release is read with and without quotes', () => {
  expect(osRelease(debian)).toMatchObject({ ID: 'debian', PRETTY_NAME: 'Debian GNU/Linux 12 (bookworm)' })
  expect(osRelease(mint)).toMatchObject({ NAME: 'Linux Mint', ID_LIKE: 'ubuntu debian' })
  expect(readOsRelease(join(temporaryFolder(), 'none'))).toEqual({})
})

test('Debian, Ubuntu and what derives from them are told from others', () => {
  expect(isDebianLike(osRelease(debian))).toBe(true)
  expect(isDebianLike(osRelease('ID=ubuntu\nID_LIKE=debian\n'))).toBe(true)
  expect(isDebianLike(osRelease(mint))).toBe(true)
  expect(isDebianLike(osRelease(fedora))).toBe(false)
  expect(isDebianLike({})).toBe(false)
})

describe('requireChangeable', () => {
  const missing = 'The Docker engine is missing'
  const byHand = 'apt-get install docker.io'

  test('lets root on Debian through', () => {
    requireChangeable({ missing, byHand, osRelease: { ID: 'debian' }, uid: 0 })
  })

  test('tells others what to install by hand', () => {
    const asUser = () => requireChangeable({ missing, byHand, osRelease: { ID: 'debian' }, uid: 1000 })
    expect(asUser).toThrow(/The Docker engine is missing.*needs root/)
    const onFedora = () => requireChangeable({ missing, byHand, osRelease: osRelease(fedora), uid: 0 })
    expect(onFedora).toThrow(/Fedora Linux 42/)
    for (const attempt of [asUser, onFedora]) {
      expect(attempt).toThrow(expect.objectContaining({ advice: expect.stringContaining(byHand) }))
    }
  })
})
