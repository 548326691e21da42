// Random stacks of engines on three or five servers over one hostile log: crashes, pauses, clocks that drift, engines and loglets
// switched under load. Whatever the stack, the database above must not notice.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { EnginesRun } from './engines-run.ts'

export const enginesWorkload: Workload = {
  name: 'engines',
  summary: 'random engine stacks on 3 or 5 servers over a hostile log, switched under load',
  operations: 300,
  finds: ['batch-shares-result', 'stale-vote', 'trim-past-durable', 'epoch-reused'],
  mustReach: [
    'crash',
    'kill',
    'clean end',
    'restart',
    'pause',
    'drift',
    'crash while starting',
    'crash between append and apply',
    'enabled',
    'disabled',
    'level raised',
    'switch refused',
    'switch under load',
    'extended',
    'lost race',
    'truncated',
    'chunked append',
    'indeterminate append',
    'duplicate filtered',
    'applied from a batch',
    'applied out of order',
    'applied in session order',
    'joined',
    'accused',
    'evicted',
    'rejoined',
    'told to bootstrap',
    'epoch opened',
    'epoch closed',
    'proposed again',
    'too early',
    'sequence twice',
    'vote void',
    'timer fired',
    'timer armed anew',
    'timer cancelled',
    'proposal refused: OVERLOADED',
    'proposal refused: LEASE_HELD',
    'lease taken',
    'segment',
    'snapshot',
    'contents compared',
  ],
  faults: (random) =>
    faultsWith({
      clock: {
        // Far more than any quartz: whoever counts on equal clocks is found.
        driftPpmMax: random.chance(0.7) ? 200_000 : 1_000,
        wallOffsetMsMax: 60_000,
        timerLateMsMax: random.chance(0.5) ? 5 : 0,
      },
    }),
  run: (world, operations) => new EnginesRun(world, operations).run(),
}
