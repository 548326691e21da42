import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { doctorWorkload } from './doctor-workload.ts'

proveWorkload(doctorWorkload, { from: 1, to: 100 })
