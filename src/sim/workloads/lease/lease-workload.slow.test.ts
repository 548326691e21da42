import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { leaseWorkload } from './lease-workload.ts'

proveWorkload(leaseWorkload, { from: 1, to: 60 })
