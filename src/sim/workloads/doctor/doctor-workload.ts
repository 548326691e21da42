// An operator with BrainDoctor and voided positions, on three servers over a hostile log: rows are edited under load, spoilt, and
// repaired at entries that no server can apply.

import { faultsWith } from '../../faults.ts'
import type { Workload } from '../../workload.ts'
import { DoctorRun } from './doctor-run.ts'

export const doctorWorkload: Workload = {
  name: 'doctor',
  summary: 'BrainDoctor on 3 servers: edits under load, repairs and voids where all have stopped',
  operations: 80,
  finds: ['edit-kept-from-memory'],
  mustReach: [
    'crash',
    'kill',
    'edit: edited',
    'edit: conflict',
    'edit: would edit',
    'a bug',
    'a spoilt row',
    'one was down',
    'one came later',
    'repair: recorded',
    'voided by the doctor',
    'records',
  ],
  faults: () => faultsWith({ clock: { wallOffsetMsMax: 60_000 } }),
  run: (world, operations) => new DoctorRun(world, operations).run(),
}
