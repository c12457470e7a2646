/** Servers of their own with the real helper and gVisor's program. */
import { fileURLToPath } from 'node:url'
import { server as serverOf } from '../native/runtime.fixture.ts'
import { createGvisorRuntime } from './runtime.ts'

export { image } from '../native/runtime.fixture.ts'

const runsc = fileURLToPath(new URL('../../../build/runsc', import.meta.url))

/** As that of the native runtime. */
export const server = () => serverOf({}, { make: createGvisorRuntime, runsc })
