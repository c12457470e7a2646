import { beforeAll } from 'vitest'
import { buildBaseImage } from '../../../images/base/build.mjs'
import { testContract } from './contract.fixture.ts'

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)

// Nothing of an image goes through an agent: where there are both ways, the other one's test copies them.
await testContract('tcp', { copiesImages: process.getuid?.() !== 0 })
