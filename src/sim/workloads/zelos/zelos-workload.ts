// Zelos on the embedded stack: sessions, ephemeral and sequential nodes and multis through crashes, against a naive model.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { StackRun } from '../stack/stack-run.ts'
import { ZelosClients } from './zelos-clients.ts'

export const zelosWorkload: Workload = {
  name: 'zelos',
  summary: 'Zelos on the embedded stack: sessions, ephemeral nodes and multis through crashes',
  finds: ['cursor-outside-tx', 'layer-pushed-in-part'],
  mustReach: [
    'crash',
    'kill',
    'clean end',
    'commits replayed',
    'contents compared',
    'session expired',
    'closeSession',
    'moveSession',
    'moveSession: -112',
    'expireSession',
    'write: -101',
    'write: -103',
    'write: -108',
    'write: -110',
    'write: -111',
    'write: -112',
    'multi',
    'multi: -101',
    'multi: -110',
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
  run: (world, operations) => new StackRun(world, operations, new ZelosClients(world)).run(),
}
