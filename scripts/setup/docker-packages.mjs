import { candidateVersions, installPackages } from './apt.mjs'
import { requireChangeable } from './system.mjs'

/** `docker-cli` is a package of its own from Debian 13 on; before, docker.io has the command. */
const packages = ['docker.io', 'docker-cli', 'iptables']

/**
 * Installs the distribution's Docker engine, its command line and what it needs for networks.
 *
 * @param {{ missing: string, progress: import('./report.mjs').Progress }} options `missing`: see `requireChangeable`
 */
export async function installDocker({ missing, progress }) {
  requireChangeable({
    missing,
    byHand: 'apt-get install docker.io iptables, or https://docs.docker.com/engine/install',
  })
  const known = await candidateVersions(packages, progress)
  const absentEverywhere = (name) => name === 'docker-cli' && !known.has(name)
  await installPackages(
    packages.filter((name) => !absentEverywhere(name)),
    { missing, progress },
  )
}
