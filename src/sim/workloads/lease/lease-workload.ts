// Lease on three or five servers over a hostile log: takeovers, pauses, clocks that drift or stand still, timers and edits meanwhile.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { LeaseRun } from './lease-run.ts'

export const leaseWorkload: Workload = {
  name: 'lease',
  summary: 'leased reads on 3 or 5 servers: takeovers, pauses, drift, suspended machines, timers, edits',
  operations: 300,
  finds: ['lease-clock-first', 'lease-margin-zero', 'lease-filters-control'],
  mustReach: [
    'crash',
    'kill',
    'pause',
    'suspended',
    'cut off',
    'update',
    'update refused: LEASE_HELD',
    'forwarded',
    'leased read',
    'read',
    'sync',
    'edited',
    'timer fired',
    'filtered',
    'gave up',
    'reign',
  ],
  // Two clocks then run apart by 21 % of a duration, which the margin of 25 % covers.
  faults: () => faultsWith({ clock: { driftPpmMax: 120_000, wallOffsetMsMax: 60_000, timerLateMsMax: 2 } }),
  run: (world, operations) => new LeaseRun(world, operations).run(),
}
