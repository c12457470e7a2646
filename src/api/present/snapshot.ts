import type { NamedSnapshot } from '../../control/snapshots.ts'
import type { SnapshotBody } from '../../wire/sandbox.ts'

export function presentSnapshot({ snapshotId, names }: NamedSnapshot): SnapshotBody {
  return { snapshotID: snapshotId, names }
}
