/**
 * The setup's steps, in their order: each may rely on those before it in its lane, and on all before its lane's first.
 */
import { join } from 'node:path'
import { paths, root } from './paths.mjs'
import { createPrebuilt, variable } from './prebuilt.mjs'
import { baseArchiveStep } from './step-base-archive.mjs'
import { baseImageStep } from './step-base-image.mjs'
import { btrfsStep } from './step-btrfs.mjs'
import { bundleStep } from './step-bundle.mjs'
import { chromiumStep } from './step-chromium.mjs'
import { dockerEngineStep } from './step-docker-engine.mjs'
import { imageToolsStep } from './step-image-tools.mjs'
import { loadToolsStep } from './step-load-tools.mjs'
import { networkRulesStep } from './step-network-rules.mjs'
import { newerPythonStep } from './step-newer-python.mjs'
import { nodeModulesStep } from './step-node-modules.mjs'
import { nodeVersionStep } from './step-node-version.mjs'
import { olderCliStep } from './step-older-cli.mjs'
import { prebuiltStep } from './step-prebuilt.mjs'
import { findOldestPython, needsNewerPython, pythonSdksStep, pythonStep } from './step-python-sdks.mjs'
import { registryStep } from './step-registry.mjs'
import { runscStep } from './step-runsc.mjs'
import { rustStep } from './step-rust.mjs'
import { rustProgramStep } from './step-rust-program.mjs'
import { uvStep } from './step-uv.mjs'

/** What a setup is for. */
export const purposes = ['docker', 'native', 'gvisor', 'test', 'bench', 'cli', 'local']

/**
 * The steps that a purpose needs:
 * `docker`: the server with a Docker engine; `native`: the server without any engine; `gvisor`: that and `runsc`; `local`: the server for the development
 * runtime; `test`: `docker` and what tests compile and drive; `bench`: `docker` and what makes load; `cli`: commands that only
 * talk to a server or to its files.
 *
 * What may need root comes first, so that who isn't root is told before anything takes time.
 *
 * @param {string} purpose one of `purposes`
 * @returns {import('./run-steps.mjs').Step[]}
 */
export function stepsFor(purpose) {
  const prebuilt = createPrebuilt()
  const usesGuests = purpose !== 'cli'
  const hasSandboxes = usesGuests && purpose !== 'local'
  const usesDocker = hasSandboxes && purpose !== 'native' && purpose !== 'gvisor'
  const [guestAgent, helper] = rustPrograms()
  const programs = usesGuests ? [guestAgent, ...(hasSandboxes ? [helper] : [])] : []
  const rustIsNeeded = async () =>
    purpose === 'test' || (await Promise.all(programs.map((step) => step.isDone()))).includes(false)
  const { uv } = paths
  const environments = [
    pythonSdksStep({ ...paths.pythonSdks, uv }),
    pythonSdksStep({ ...paths.frameworks, uv }),
  ]
  const pythonIsNeeded = async () =>
    (await Promise.all(environments.map((step) => step.isDone()))).includes(false)
  const { requirements, newer } = paths.frameworks
  const newerPython = newerPythonStep({
    folder: newer,
    isNeeded: async () => (await pythonIsNeeded()) && (await needsNewerPython(requirements)),
  })
  const fillsEnvironments = uvStep({ folder: uv, isNeeded: pythonIsNeeded, findPython: findOldestPython })
  const baseImage = usesDocker
    ? baseImageStep({ nameFile: paths.baseImage, archiveOf: paths.baseArchiveOf })
    : baseArchiveStep({ nameFile: paths.baseImage, archiveOf: paths.baseArchiveOf })
  const ready = hasSandboxes ? [...programs, baseImage] : programs
  return [
    nodeVersionStep(),
    ...(usesDocker ? [dockerEngineStep()] : []),
    ...(ready.length > 0 ? [prebuiltStep({ prebuilt, steps: ready, source: process.env[variable] })] : []),
    ...(hasSandboxes ? [networkRulesStep()] : []),
    ...(usesGuests ? [rustStep({ root, isNeeded: rustIsNeeded })] : []),
    ...(purpose === 'bench' ? [loadToolsStep()] : []),
    ...(purpose === 'test'
      ? [
          chromiumStep(),
          btrfsStep(),
          registryStep({ program: paths.registry }),
          olderCliStep({ folder: paths.olderCli }),
          pythonStep({ isNeeded: pythonIsNeeded }),
        ]
      : []),
    ...inLane('server', [
      nodeModulesStep({ root, prebuilt }),
      bundleStep({ root, bundle: paths.bundle, stamp: join(paths.stamps, 'bundle') }),
    ]),
    ...inLane('agent', programs),
    ...inLane('runsc', purpose === 'gvisor' ? [runscStep({ root, binary: paths.runsc })] : []),
    ...inLane('image', hasSandboxes ? [baseImage] : []),
    ...inLane('tools', hasSandboxes ? [imageToolsStep({ archive: paths.imageTools })] : []),
    ...inLane('Python', purpose === 'test' ? [newerPython, fillsEnvironments, ...environments] : []),
  ]
}

/** Ours in Rust: the agent inside sandboxes, and the helper on the machine. */
export function rustPrograms() {
  const guestAgent = rustProgramStep({
    root,
    name: 'guest agent',
    does: 'the agent that runs inside sandboxes',
    folder: 'guest',
    binary: paths.guestBinary,
    stamp: join(paths.stamps, 'guest-agent'),
  })
  const helper = rustProgramStep({
    root,
    name: 'host helper',
    does: 'the helper that makes sandboxes without an engine',
    folder: 'host',
    shared: ['spec/gvisor.json', 'spec/system-calls.json', 'src/network/rules.json'],
    binary: paths.hostBinary,
    stamp: join(paths.stamps, 'host-helper'),
  })
  return [guestAgent, helper]
}

/** Most of a first setup is the compiling of two things, each on one core, and waiting for registries. */
function inLane(lane, steps) {
  return steps.map((step) => ({ ...step, lane }))
}
