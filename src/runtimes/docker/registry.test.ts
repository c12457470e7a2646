/** Images that the engine pulls. */
import { afterAll } from 'vitest'
import { testRegistries } from '../../images/registry.suite.ts'
import { server } from './runtime.fixture.ts'

const one = await server()
afterAll(() => one.dispose())

testRegistries((options) => one.create(options))
