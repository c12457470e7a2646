/** The contract's test: every dialect passes it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../domain/store.ts'
import { testFigures, testLogs, testSandboxMetrics } from './figures.suite.ts'
import { testEvents, testSandboxes, testSandboxLists } from './sandboxes.suite.ts'
import { testTeamsAndKeys, testWebhooks } from './teams.suite.ts'
import { testBuilds, testCache, testTemplates } from './templates.suite.ts'

/** Runs the suite; `open` makes an empty store each time. */
export function testStore(name: string, open: () => Promise<Store>): void {
  describe(name, () => {
    let store: Store
    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())

    test('has an id of twelve hex digits', () => {
      expect(store.instanceId).toMatch(/^[0-9a-f]{12}$/)
    })

    describe('sandboxes', () => testSandboxes(() => store))
    describe('sandbox lists', () => testSandboxLists(() => store))
    describe('events', () => testEvents(() => store))
    describe('templates', () => testTemplates(() => store))
    describe('builds', () => testBuilds(() => store))
    describe('the cache of builds', () => testCache(() => store))
    describe('teams and keys', () => testTeamsAndKeys(() => store))
    describe('figures', () => testFigures(() => store))
    describe('samples of sandboxes', () => testSandboxMetrics(() => store))
    describe('logs', () => testLogs(() => store))
    describe('webhooks', () => testWebhooks(() => store))
  })
}
