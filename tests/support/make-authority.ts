/** Makes an authority before the programs start that are to trust it: `make-authority.ts <folder> <domain>`. */
import { openLocalCa } from '../../src/tls/local-ca.ts'

const [folder, domain] = process.argv.slice(2)
if (folder === undefined || domain === undefined)
  throw new Error('Usage: make-authority.ts <folder> <domain>')
await openLocalCa(folder, domain)
