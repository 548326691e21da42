// 200 ZooKeeper clients that live badly, on the embedded stack: sessions, ephemeral nodes and watches through lost connections,
// pauses, expiries, and a server that dies, stands still and cannot be reached.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { SessionsRun } from './sessions-run.ts'

export const sessionsWorkload: Workload = {
  name: 'sessions',
  summary: '200 ZooKeeper clients that come, go and fall silent: sessions, ephemeral nodes, watches',
  operations: 6_000,
  seeds: 4,
  finds: ['ephemerals-die-early', 'watch-lost', 'event-twice', 'event-late', 'standstill-counts'],
  mustReach: [
    'crash',
    'kill',
    'clean end',
    'stood still',
    'cut off',
    'vanished',
    'paused',
    'closed',
    'lost patience',
    'came back',
    'ran out',
    'told that its session is gone',
    'set watches again',
    'told what it missed',
    'moveSession: -112',
    'sessions kept',
    'contents compared',
  ],
  faults: (random) =>
    faultsWith({
      disk: { stallProbability: random.chance(0.3) ? 0.01 : 0, stallMsMax: 50 },
      clock: { driftPpmMax: 1_000, wallOffsetMsMax: 60_000, timerLateMsMax: random.chance(0.5) ? 2 : 0 },
      network: { latencyMsMax: 10, chunkBytesMax: random.pick([500, 4_000]), resetProbability: 0.0005 },
    }),
  run: (world, operations) => new SessionsRun(world, operations).run(),
}
