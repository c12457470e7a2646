import type { RegistryCredentials } from './images.ts'
import type { BuildSpec } from './template-builder.ts'

/** What a build is to be made of, as a client says it. */
export interface BuildOrder extends Pick<BuildSpec, 'steps' | 'force' | 'startCmd' | 'readyCmd'> {
  from:
    | { image: string; credentials: RegistryCredentials | null }
    /** A template's name or id, with or without a tag */
    | { template: string }
}
