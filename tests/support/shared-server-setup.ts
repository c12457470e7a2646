/** Starts the server of shared-server.ts before a suite's first file, and ends it after the last one. */
import type { TestProject } from 'vitest/node'
import { startTestServer, type TestServer } from './server.ts'

/** Resolves with what ends it. */
export function setup(project: TestProject): Promise<() => Promise<void>> {
  return provideServer(project)
}

/** The same with more flags. `prepare`: what is done with it before the tests, or else it is ended again. */
export async function provideServer(
  project: TestProject,
  flags: string[] = [],
  prepare: (server: TestServer) => Promise<void> = async () => {},
): Promise<() => Promise<void>> {
  // Fifty starts at once wait for each other, and for those of another suite beside this one.
  // And no test begins a build of what it only asks for.
  const all = ['--start-wait', '120', '--no-build-stock', ...flags]
  const server = await startTestServer({ flags: all, isShared: true })
  const end = async () => await server[Symbol.asyncDispose]()
  try {
    await prepare(server)
  } catch (error) {
    await end()
    throw error
  }
  const { url, sandboxUrl, stateDir } = server
  project.provide('sharedServer', { url, sandboxUrl, stateDir })
  return end
}
