import type { TeamSample } from '../../domain/team-sample.ts'
import type { MaxTeamMetricBody, MaxTeamMetricQuery, TeamMetricBody } from '../../wire/team.ts'

export function presentTeamMetric(sample: TeamSample): TeamMetricBody {
  return {
    ...time(sample),
    concurrentSandboxes: sample.runningSandboxes,
    sandboxStartRate: sample.startsPerSecond,
  }
}

export function presentMaxTeamMetric(
  sample: TeamSample,
  metric: MaxTeamMetricQuery['metric'],
): MaxTeamMetricBody {
  const value = metric === 'concurrent_sandboxes' ? sample.runningSandboxes : sample.startsPerSecond
  return { ...time(sample), value }
}

function time({ at }: TeamSample): { timestamp: string; timestampUnix: number } {
  return { timestamp: new Date(at).toISOString(), timestampUnix: Math.floor(at / 1000) }
}
