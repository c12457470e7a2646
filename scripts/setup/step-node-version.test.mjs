import { expect, test } from 'vitest'
import { nodeVersionStep } from './step-node-version.mjs'

test('an old Node.js is named together with the oldest that will do', async () => {
  const step = nodeVersionStep({ version: '18.20.4' })
  expect(await step.isDone()).toBe(false)
  await expect(step.run(() => {})).rejects.toThrow(
    'This is Node.js 18.20.4; e2b-server needs 20.19 or newer.',
  )
})

test.each(['20.19.0', '20.20.2', '24.1.0'])('%s will do', async (version) => {
  expect(await nodeVersionStep({ version }).isDone()).toBe(true)
})
