/** How distributions take up an authority that the machine is to trust. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

export interface TrustStore {
  /** The folder that certificates of authorities are put into */
  folder: string
  extension: string
  /** What takes up a new one, and forgets one that is gone */
  add: string[]
  remove: string[]
}

const debian: TrustStore = {
  folder: '/usr/local/share/ca-certificates',
  extension: 'crt',
  add: ['update-ca-certificates'],
  // Without it links to what is gone stay.
  remove: ['update-ca-certificates', '--fresh'],
}
const withFolder = (folder: string, command: string): TrustStore => ({
  folder,
  extension: 'pem',
  add: [command],
  remove: [command],
})
/** Fedora and its kin, Arch, SUSE: known by their folders. */
const others = [
  withFolder('/etc/pki/ca-trust/source/anchors', 'update-ca-trust'),
  withFolder('/etc/ca-certificates/trust-source/anchors', 'update-ca-trust'),
  withFolder('/etc/pki/trust/anchors', 'update-ca-certificates'),
]

const programFolders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** This machine's; undefined: none that is known here. `root`: where the machine's files are. */
export function findTrustStore(root = '/'): TrustStore | undefined {
  const isThere = (program: string) =>
    programFolders.some((folder) => existsSync(join(root, folder, program)))
  const other = others.find(({ folder, add }) => existsSync(join(root, folder)) && isThere(add[0]!))
  // Debian, Ubuntu and Alpine have the command, and may lack the folder.
  return other ?? (isThere(debian.add[0]!) ? debian : undefined)
}
