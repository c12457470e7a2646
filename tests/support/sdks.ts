/** The published SDK releases that the conformance suite drives, newest first. */
import * as newest from 'e2b'
import newestPackage from 'e2b/package.json' with { type: 'json' }
import * as older from 'e2b-2-20'
import olderPackage from 'e2b-2-20/package.json' with { type: 'json' }

/** The newest release's types serve for both: what the suite uses has the same shape in each. */
export type Sdk = typeof newest
export type Sandbox = newest.Sandbox

export const sdks: { version: string; sdk: Sdk }[] = [
  { version: newestPackage.version, sdk: newest },
  { version: olderPackage.version, sdk: older as unknown as Sdk },
]
