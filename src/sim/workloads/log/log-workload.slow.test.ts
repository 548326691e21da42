import { proveWorkload } from '../../../../test/support/prove-workload.ts'
import { logWorkload } from './log-workload.ts'

proveWorkload(logWorkload)
