// The whole embedded stack under a checking database: a data directory on a bad disk, a store that loses what was not flushed,
// many clients, reconfigurations, trims and flushes under load, and a death at any moment, after which the log is played again.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { CheckingClients } from './checking-clients.ts'
import { StackRun } from './stack-run.ts'

export const stackWorkload: Workload = {
  name: 'stack',
  summary: 'the embedded stack under a checking database: replay, exactly once, linearizable reads',
  finds: ['cursor-outside-tx', 'layer-pushed-in-part', 'no-sync', 'no-dir-sync'],
  mustReach: [
    'crash',
    'kill',
    'clean end',
    'crash while starting',
    'crash between append and apply',
    'crash with a write-back layer',
    'commits replayed',
    'unsynced bytes lost',
    'disk full',
    'sync failed',
    'write failed',
    'extended',
    'roll-forward',
    'truncated',
    'voided',
    'indeterminate append',
    'duplicate dropped',
    'chunked append',
    'applied from a batch',
    'entries of one transaction',
    'push without flush',
    'flush',
    'operation rejected',
    'proposal refused: OVERLOADED',
    'proposal refused: INDETERMINATE',
    'contents compared',
  ],
  faults: (random) =>
    faultsWith({
      disk: {
        stallProbability: random.chance(0.3) ? 0.01 : 0,
        stallMsMax: 50,
        readFailureProbability: random.chance(0.1) ? 0.0005 : 0,
        writeFailureProbability: random.chance(0.2) ? 0.001 : 0,
        syncFailureProbability: random.chance(0.2) ? 0.002 : 0,
      },
      clock: { driftPpmMax: 1_000, wallOffsetMsMax: 60_000, timerLateMsMax: random.chance(0.5) ? 2 : 0 },
    }),
  run: (world, operations) => new StackRun(world, operations, new CheckingClients(world)).run(),
}
