/** The published releases of the code interpreter's SDK that find a server by its addresses, newest first. */
import * as newest from '@e2b/code-interpreter'
import newestPackage from '@e2b/code-interpreter/package.json' with { type: 'json' }
import * as older from 'code-interpreter-2-7'
import olderPackage from 'code-interpreter-2-7/package.json' with { type: 'json' }

/** The newest release's types serve for both. */
export const interpreterSdks: { version: string; sdk: typeof newest }[] = [
  { version: newestPackage.version, sdk: newest },
  { version: olderPackage.version, sdk: older as unknown as typeof newest },
]
