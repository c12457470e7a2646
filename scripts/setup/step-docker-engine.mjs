/** A Docker engine that answers: installed from the distribution and started where none does. */
import { existsSync } from 'node:fs'
import { installDocker } from './docker-packages.mjs'
import { dockerEndpoint, pingDocker } from './docker-socket.mjs'
import { findProgram } from './find-program.mjs'
import { runCommand } from './run-command.mjs'
import { SetupError } from './setup-error.mjs'
import { startDockerd } from './start-dockerd.mjs'
import { requireChangeable } from './system.mjs'

const byHand = 'systemctl start docker'

/**
 * @param {{ env?: Record<string, string | undefined> }} [options]
 * @returns {import('./run-steps.mjs').Step}
 */
export function dockerEngineStep({ env = process.env } = {}) {
  return {
    name: 'Docker engine',
    isDone: async () => (await pingDocker(dockerEndpoint(env))) === 'up',
    run: async (progress) => {
      const endpoint = dockerEndpoint(env)
      if ((await pingDocker(endpoint)) === 'forbidden') {
        throw new SetupError(`A Docker engine runs, but this user may not open ${endpoint.socketPath}.`, {
          advice: 'Run this command as root, or add the user to the group `docker` and log in again.',
        })
      }
      if (env.DOCKER_HOST) {
        throw new SetupError(`No Docker engine answers at DOCKER_HOST (${env.DOCKER_HOST}).`, {
          advice: 'Start that engine, or unset DOCKER_HOST to use one on this machine.',
        })
      }
      if (findProgram('dockerd') === undefined || findProgram('iptables') === undefined) {
        await installDocker({ missing: 'The Docker engine is missing', progress })
        // The package starts its service where there is a service manager.
        if ((await pingDocker(endpoint)) === 'up') return
      }
      requireChangeable({ missing: 'The Docker engine does not run', byHand })
      await start(endpoint, progress)
    },
  }
}

async function start(endpoint, progress) {
  // The folder exists only where systemd is the running service manager, whether or not it is installed.
  if (existsSync('/run/systemd/system')) {
    progress('starting the Docker engine by systemd')
    await runCommand('systemctl', ['start', 'docker'], {
      timeoutMs: 90_000,
      advice: 'Look at `journalctl -u docker` for the reason.',
      progress,
    })
    return
  }
  progress('starting the Docker engine')
  await startDockerd({ endpoint })
}
