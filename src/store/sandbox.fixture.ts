import { rowOf } from '../../tests/support/control.ts'
import type { Sandbox } from '../domain/sandbox.ts'

/** A row with the parts that a test doesn't care about. */
export function sandbox(values: Partial<Sandbox>): Sandbox {
  return rowOf({
    ...{ id: 'ione', teamId: 'red', templateId: 'tbase', state: 'creating', image: 'image' },
    ...{ startedAt: 1_765_432_109_876, endAt: 1_765_432_409_876, cpuCount: 2, memoryMb: 1024 },
    ...values,
  })
}
