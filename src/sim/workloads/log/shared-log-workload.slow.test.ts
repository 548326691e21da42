import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { sharedLogWorkload } from './shared-log-workload.ts'

proveWorkload(sharedLogWorkload)
