import { expect, test } from 'vitest'
import { networkRulesStep } from './step-network-rules.mjs'

test('the program is missing for root alone, who could use it', async () => {
  expect(await networkRulesStep({ program: 'no-such-nft', uid: 0 }).isDone()).toBe(false)
  expect(await networkRulesStep({ program: 'no-such-nft', uid: 1000 }).isDone()).toBe(true)
  expect(await networkRulesStep({ program: 'sh', uid: 0 }).isDone()).toBe(true)
})
