// Three servers back up one hostile log to a hostile blob store, with crashes, takeovers, outages and the escape hatch; what the log
// lets go is in the backup, and what comes back is what was there.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { BackupRun } from './backup-run.ts'

export const backupWorkload: Workload = {
  name: 'backup',
  summary: 'log and snapshots of 3 servers backed up to a hostile blob store, and restored',
  operations: 120,
  seeds: 12,
  finds: ['backup-not-durable', 'backup-trimmed-ahead', 'backup-stale-claim'],
  mustReach: [
    'crash',
    'kill',
    'blob store away',
    'blob call failed',
    'blob call done and failed',
    'log trimmed',
    'segments',
    'snapshots',
    'takeovers',
    'skips',
    'gap',
    'forgotten',
    'restored',
    'contents compared',
  ],
  faults: () => faultsWith({ clock: { driftPpmMax: 1_000, wallOffsetMsMax: 500, timerLateMsMax: 5 } }),
  run: (world, operations) => new BackupRun(world, operations).run(),
}
