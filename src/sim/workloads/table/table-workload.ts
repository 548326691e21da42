// DelosTable on the embedded stack: transactions, indexes, migrations and snapshots through crashes, against a naive model.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { StackRun } from '../stack/stack-run.ts'
import { TableClients } from './table-clients.ts'

export const tableWorkload: Workload = {
  name: 'table',
  summary: 'DelosTable on the embedded stack: transactions, indexes and migrations through crashes',
  operations: 250,
  finds: ['index-survives-rollback', 'range-not-validated', 'token-applied-twice', 'cursor-outside-tx'],
  mustReach: [
    'crash',
    'kill',
    'commits replayed',
    'contents compared',
    'transaction committed',
    'transaction conflict',
    'transaction rejected',
    'transaction repeated',
    'index scan',
    'covered scan',
    'read now',
    'read of the past',
  ],
  faults: (random) =>
    faultsWith({
      disk: {
        stallProbability: random.chance(0.3) ? 0.01 : 0,
        stallMsMax: 50,
        syncFailureProbability: random.chance(0.1) ? 0.002 : 0,
      },
      clock: { driftPpmMax: 1_000, wallOffsetMsMax: 60_000, timerLateMsMax: random.chance(0.5) ? 2 : 0 },
    }),
  run: (world, operations) => new StackRun(world, operations, new TableClients(world)).run(),
}
