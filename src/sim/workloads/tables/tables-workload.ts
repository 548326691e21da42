// DelosTable on three servers over a hostile log: random schemas and migrations, transactions retried at other servers, rows that
// end, servers that die and join, against an in-memory model; every store is compared with it throughout.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { TablesRun } from './tables-run.ts'

export const tablesWorkload: Workload = {
  name: 'tables',
  summary: 'DelosTable on 3 servers: random schemas, migrations, transactions, ttl, crashes, servers that join',
  operations: 200,
  finds: [
    'index-survives-rollback',
    'range-not-validated',
    'token-applied-twice',
    'backfill-overwrites',
    'expiry-by-local-clock',
  ],
  mustReach: [
    'crash',
    'kill',
    'pause',
    'joined',
    'end while an index is built',
    'asked again',
    'transaction committed',
    'transaction conflict',
    'transaction rejected',
    'transaction repeated',
    'schema changed',
    'schema forbidden',
    'schema conflict',
    'key scan',
    'index scan',
    'own writes read',
    'read now',
    'read of the past',
    'read of the past refused: SNAPSHOT_GONE',
    'contents compared',
    'digests compared',
  ],
  faults: (random) =>
    faultsWith({
      clock: { driftPpmMax: 1_000, wallOffsetMsMax: 3_000, timerLateMsMax: random.chance(0.5) ? 5 : 0 },
    }),
  run: (world, operations) => new TablesRun(world, operations).run(),
}
